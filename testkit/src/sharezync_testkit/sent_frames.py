"""Frames that a service under test has sent."""

from collections.abc import Callable

from sharezync_shared.streams.frames import Frame


def keep_in(sent: list[Frame]) -> Callable[[list[Frame]], None]:
    """Return what keeps frames of streams; each service announces its epoch beside them."""

    def keep(frames: list[Frame]) -> None:
        sent.extend(frame for frame in frames if not (frame.control and frame.control.epoch_of))

    return keep
