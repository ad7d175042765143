"""Who may see somebody, for what is told of them without a subscription to them.

chat and auth are asked; their answers are kept for a minute, unless a frame says that somebody
agreed to be in a channel, or that a block came or went.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Final, NamedTuple

import structlog

from sharezync_gateway.realtime.service_calls import ServiceCalls
from sharezync_shared.calls.client import ServiceUnavailable

log = structlog.get_logger()

_KEEP_SECONDS: Final = 60.0
"""In case that a change was not heard of."""
_MOST_KEPT: Final = 10_000


class _Answer(NamedTuple):
    asked: set[str]
    seeing: set[str]
    until: float


@dataclass(slots=True, eq=False)
class _Question:
    user_id: str
    stale: bool = False
    """Who may see them has changed since it was asked."""


class Viewers:
    """What is known of some users, each with others; the oldest knowledge is forgotten first."""

    def __init__(self, calls: ServiceCalls, clock: Callable[[], float]) -> None:
        self._calls = calls
        self._clock = clock
        self._answers: dict[str, _Answer] = {}
        self._questions: list[_Question] = []
        """On their way."""

    def cached(self, user_id: str, others: Collection[str]) -> set[str] | None:
        """Return those of the others who may see a user, and some more; None: `learn` it first."""
        known = self._answers.get(user_id)
        if known is None or known.until < self._clock() or not known.asked.issuperset(others):
            return None
        return known.seeing

    async def fetch(self, user_id: str, others: Collection[str]) -> None:
        """Ask. Where there is no answer, or something changes meanwhile, nothing is known."""
        question = _Question(user_id)
        self._questions.append(question)
        try:
            seeing = (await self._calls.viewers(user_id, set(others) - {user_id})).open
        except ServiceUnavailable as error:
            log.debug("viewers_unknown", error=repr(error))
            return
        finally:
            self._questions.remove(question)
        if question.stale:
            return
        before = self._answers.pop(user_id, None)
        answer = _Answer(set(others), seeing, self._clock() + _KEEP_SECONDS)
        if before is not None and before.until >= self._clock():
            answer = _Answer(before.asked | answer.asked, before.seeing | seeing, before.until)
        self._answers[user_id] = answer
        while len(self._answers) > _MOST_KEPT:
            del self._answers[next(iter(self._answers))]

    def invalidate(self, user_ids: Collection[str]) -> None:
        """Know nothing of these users any more: who may see them has changed."""
        for user_id in user_ids:
            self._answers.pop(user_id, None)
        # Of these alone: who blocks and unblocks in a loop keeps nobody else from being heard.
        for question in self._questions:
            question.stale |= question.user_id in user_ids
