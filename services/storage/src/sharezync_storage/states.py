"""The life of an upload, as a table.

    created → receiving → verifying → finished
                        ↘ held (a part of something larger, complete)

Bytes are taken in the first two states. `verifying` begins when all are there; it ends in `failed`
where the whole has another digest than was said. Whatever has not finished can be aborted and may
expire, and what has finished is aborted with its file. No I/O, no clock.
"""

from collections.abc import Mapping
from typing import Final, Literal, Protocol

from sharezync_shared.contracts.storage import UploadClosed

Source = Literal["form", "chunks", "tus", "direct"]
"""By what an upload comes: a form of HTTP, chunks from inside (transfers), tus, or straight to
the store by signed URLs."""

UploadState = Literal["created", "receiving", "held", "verifying", "finished", "failed", "aborted"]
Act = Literal["write", "hold", "verify", "finish", "fail", "abort", "expire"]

TABLE: Final[Mapping[UploadState, Mapping[Act, UploadState]]] = {
    "created": {
        "write": "receiving",
        "hold": "held",  # a part of no bytes
        "verify": "verifying",
        "abort": "aborted",
        "expire": "aborted",
    },
    "receiving": {
        "write": "receiving",
        "hold": "held",
        "verify": "verifying",
        "abort": "aborted",
        "expire": "aborted",
    },
    "held": {"abort": "aborted", "expire": "aborted"},
    "verifying": {
        "verify": "verifying",  # by another process, after a crash
        "finish": "finished",
        "fail": "failed",
        "abort": "aborted",
        "expire": "aborted",
    },
    "finished": {"finish": "finished", "abort": "aborted"},  # its file goes too
    "failed": {"fail": "failed", "abort": "failed"},
    "aborted": {"abort": "aborted"},
}
"""For each state, the acts that it allows and where they lead. Everything else is refused."""

TAKES_BYTES: Final = frozenset(state for state, acts in TABLE.items() if "write" in acts)
UNFINISHED: Final = frozenset(state for state, acts in TABLE.items() if "expire" in acts)
"""Holds reserved space, and is given up when it expires."""
ENDED: Final = frozenset({"failed", "aborted"})


class HasState(Protocol):
    """The row of an upload."""

    state: str


def after(state: str, act: Act) -> UploadState | None:
    """Return the state after `act`; None where the state refuses it."""
    return TABLE[state].get(act)  # type: ignore[index]  # rows hold these states and no other


def advance(upload: HasState, act: Act) -> None:
    """Bring an upload, its row locked by the caller, to its next state: the only way there is.

    Raises UploadClosed where its state refuses the act.
    """
    state = after(upload.state, act)
    if state is None:
        raise UploadClosed(state=upload.state)
    upload.state = state
