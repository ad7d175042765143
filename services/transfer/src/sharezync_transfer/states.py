"""The states of an offer for each recipient, as a table, and of the whole. Pure.

`offered → (accepted | rejected) → receiving → verifying → completed`, with `paused`, `cancelled`,
`expired` and `failed` (realtime.md, Transfer over the socket).
"""

from collections.abc import Iterable, Mapping
from typing import Final, Literal, get_args

State = Literal[
    "offered", "accepted", "receiving", "verifying", "paused",
    "completed", "failed", "cancelled", "expired", "rejected",
]  # fmt: skip

Act = Literal[
    "accept", "reject", "pause", "resume", "cancel",  # what people do
    "receive", "verify", "complete", "expire", "fail",  # what happens
]  # fmt: skip
"""`receive`: the recipient has some of what it accepted. `verify`: it has all of it, but the files
are not confirmed yet. `complete`: it has all, and they are."""

STATES: Final[tuple[State, ...]] = get_args(State)
ACTS: Final[tuple[Act, ...]] = get_args(Act)

FINAL: Final[frozenset[State]] = frozenset(
    {"completed", "failed", "cancelled", "expired", "rejected"}
)
OPEN: Final[frozenset[State]] = frozenset(STATES) - FINAL
"""States after which something may still come."""

DELIVERING: Final[frozenset[State]] = frozenset({"accepted", "receiving", "verifying"})
"""States in which chunks go to the recipient."""

_HAPPENINGS: Final[tuple[Act, ...]] = ("receive", "verify", "complete", "expire", "fail")
# What happens to a life that is over comes too late, and changes nothing.
_OVER: Final = dict.fromkeys(_HAPPENINGS)
_ENDS: Final[dict[Act, State]] = {"cancel": "cancelled", "expire": "expired", "fail": "failed"}
_MOVES: Final[dict[Act, State]] = {"verify": "verifying", "complete": "completed", **_ENDS}


def _over(state: State, *again: Act) -> dict[Act, State]:
    """Return the row of a final state: only the act that led there may be repeated."""
    return {**dict.fromkeys(_OVER, state), **dict.fromkeys(again, state)}


TABLE: Final[Mapping[State, Mapping[Act, State]]] = {
    "offered": {"accept": "accepted", "reject": "rejected", **_ENDS},
    "accepted": {
        "accept": "accepted", "pause": "paused", "resume": "accepted", "receive": "receiving",
        **_MOVES,
    },
    "receiving": {
        "accept": "receiving", "pause": "paused", "resume": "receiving", "receive": "receiving",
        **_MOVES,
    },
    # Somebody who resumes elsewhere may have less than they had: then receiving goes on.
    "verifying": {
        "accept": "verifying", "pause": "verifying", "resume": "verifying", "receive": "receiving",
        **_MOVES,
    },
    # What was on its way when somebody paused still counts.
    "paused": {
        "accept": "paused", "pause": "paused", "resume": "accepted", "receive": "paused",
        **_MOVES,
    },
    "completed": _over("completed", "accept"),
    "failed": _over("failed"),
    "cancelled": _over("cancelled", "cancel"),
    "expired": _over("expired"),
    "rejected": _over("rejected", "reject"),
}  # fmt: skip


def after(state: State, act: Act) -> State | None:
    """Return the state that `act` leads to, which may be the same; None where it is refused."""
    return TABLE[state].get(act)


# The further on comes later. Of those that ended, success counts most, and then what the sender
# should know of most.
_OPEN: Final[tuple[State, ...]] = ("offered", "paused", "accepted", "receiving", "verifying")
_ENDED: Final[tuple[State, ...]] = ("rejected", "expired", "cancelled", "failed", "completed")


def overall(states: Iterable[State]) -> State:
    """Return what a transfer is, given the states of its recipients (at least one).

    While one of them is open, that of the one who is furthest on; afterwards the best outcome.
    """
    found = set(states)
    still = found - FINAL
    order = _OPEN if still else _ENDED
    return max(still or found, key=order.index)
