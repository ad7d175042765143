"""Between whom there is a block, for what is told of one to another without a subscription to them.

auth is asked; its answers are kept for a minute, unless a frame says that a block came or went.
"""

import asyncio
from collections.abc import Callable, Collection
from typing import Final, NamedTuple

import structlog

from sharezync_gateway.realtime.peers import Peers, PeerUnavailable, in_batches

log = structlog.get_logger()

_KEEP_SECONDS: Final = 60.0
"""In case that a change was not heard of."""
_MOST_KEPT: Final = 10_000
_PATIENCE_SECONDS: Final = 5.0


class _Answer(NamedTuple):
    asked: set[str]
    apart: set[str]
    until: float


class Blocks:
    """What is known of some users, each with others; the oldest knowledge is forgotten first."""

    def __init__(self, peers: Peers, clock: Callable[[], float]) -> None:
        self._peers = peers
        self._clock = clock
        self._answers: dict[str, _Answer] = {}
        self._changes = 0

    def apart(self, user_id: str, others: Collection[str]) -> set[str] | None:
        """Return with whom of the others, at least, there is a block; None: `learn` it first."""
        known = self._answers.get(user_id)
        if known is None or known.until < self._clock() or not known.asked.issuperset(others):
            return None
        return known.apart

    async def learn(self, user_id: str, others: Collection[str]) -> None:
        """Ask auth. Where it doesn't answer, or a block changes meanwhile, nothing is known."""
        changes = self._changes
        apart: set[str] = set()
        try:
            for batch in in_batches(set(others) - {user_id}):
                async with asyncio.timeout(_PATIENCE_SECONDS):
                    apart |= await self._peers.apart(user_id, batch)
        except (PeerUnavailable, TimeoutError) as error:
            log.warning("blocks_unknown", error=repr(error))
            return
        if changes != self._changes:
            return
        before = self._answers.pop(user_id, None)
        answer = _Answer(set(others), apart, self._clock() + _KEEP_SECONDS)
        if before is not None and before.until >= self._clock():
            answer = _Answer(before.asked | answer.asked, before.apart | apart, before.until)
        self._answers[user_id] = answer
        while len(self._answers) > _MOST_KEPT:
            del self._answers[next(iter(self._answers))]

    def forget(self, user_ids: Collection[str]) -> None:
        """Know nothing of these users any more: a block came or went between them."""
        self._changes += 1
        for user_id in user_ids:
            self._answers.pop(user_id, None)
