from sharezync_testkit.server_fixtures import folder, python

__all__ = ["folder", "python"]
