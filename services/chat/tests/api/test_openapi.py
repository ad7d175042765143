"""The page that people read."""

from typing import Any

from services.chat.tests.support.world import World


def test_nothing_is_global() -> None:
    """Five services share a process: importing chat declares nothing in a common place."""
    from sqlmodel import SQLModel  # noqa: PLC0415

    import sharezync_chat.models  # noqa: F401, PLC0415

    assert not [table for table in SQLModel.metadata.tables if "chat" in table]


async def test_every_route_says_what_it_does_and_how_it_refuses(world: World) -> None:
    document = world.app.openapi()
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            where = f"{method} {path}"
            assert operation["summary"], where
            assert len(operation.get("description", "x")) or path.startswith("/internal"), where
            refusals = {status for status in operation["responses"] if status >= "4"}
            if path.startswith("/v1"):
                assert operation["description"], where
                assert operation["security"] == [{"user": []}], where
                assert "401" in refusals, where
                assert "{" not in path or {"404", "422"} <= refusals, where
            else:
                assert operation["security"] == [{"service": []}], where
            for status in refusals:
                (content,) = operation["responses"][status]["content"]
                assert content == "application/problem+json", where


async def test_shapes_hold_what_clients_were_promised(world: World) -> None:
    schemas: dict[str, Any] = world.app.openapi()["components"]["schemas"]
    promised = {
        "ChannelRead": "id kind name description topic owner_id member_count archived created_at",
        "MembershipRead": "channel role unread_count mention_count last_read_seq last_message "
        "muted accepted",
        "MessageRead": "id channel_id author text attachments reply_to reactions mentions seq "
        "epoch edited_at edited_by deleted client_message_id created_at",
        "AttachmentRead": "file_id name size_bytes mime",
        "ReactionRead": "emoji count me",
        "UserRead": "id username display_name",
    }
    for name, fields in promised.items():
        assert set(fields.split()) <= schemas[name]["properties"].keys(), name
