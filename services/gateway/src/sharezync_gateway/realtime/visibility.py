"""Who may see whose presence: whom they agreed to be in a channel with.

Whom one has blocked one sees no more. Who is blocked must not notice: to them who blocked
them looks as somebody without a device, and their interest stays.

It is asked when interest begins, again soon after somebody left a channel or blocked somebody, and
in the rounds in which everything about a user is compared.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from itertools import count
from typing import Final, NamedTuple

import structlog

from sharezync_gateway.realtime.connection import Connection
from sharezync_gateway.realtime.service_calls import ServiceCalls, Sight
from sharezync_gateway.realtime.signals import SharingContext
from sharezync_shared.batch_queue import BatchQueue
from sharezync_shared.calls.client import ServiceUnavailable

log = structlog.get_logger()

_AT_ONCE: Final = 8
_KEEP_SECONDS: Final = 60.0
"""In case that a frame about a change was lost."""
_MOST_KEPT: Final = 10_000

_Question = Callable[[str, Collection[str]], Awaitable[Sight]]


class Visibility:
    """Asks chat and auth, and ends the interest in users whom one may not see any more."""

    def __init__(
        self, context: SharingContext, on_change: Callable[[Connection, Collection[str]], None]
    ) -> None:
        """`on_change` is called with users whose look for a connection has changed."""
        self._calls = context.calls
        self._hub = context.hub
        self._interests = context.interests
        self._on_change = on_change
        self._checks: BatchQueue[str] = BatchQueue.of_keys(
            self._check_all, name="visibility", gather_seconds=context.limits.gather_seconds
        )
        # Each end of a channel, wherever that is, would ask about many.
        self._later: BatchQueue[str] = BatchQueue.of_keys(
            self._check_all,
            name="visibility-later",
            gather_seconds=context.limits.presence_poll_seconds,
        )
        self._turns = count(1)
        """Numbers what was asked and what was answered: of an answer that was given while another
        was on its way it is not known which is out of date."""
        self.leavings = 0
        """How often somebody left a channel, as far as this node knows: an answer of chat's that
        was on its way meanwhile may be out of date."""

    def turn(self) -> int:
        """Return the number of an answer that has just come: `found` of an interest."""
        return next(self._turns)

    async def visible(self, user_id: str, others: Collection[str]) -> Sight:
        """Return whose presence of `others` a user may see. Raises ServiceUnavailable."""
        return await self._ask(self._calls.acquaintances, user_id, others)

    async def _ask(self, question: _Question, user_id: str, others: Collection[str]) -> Sight:
        found = await question(user_id, set(others) - {user_id})
        return Sight(found.open | ({user_id} & set(others)), found.hidden)

    def has_left(self, user_ids: Collection[str]) -> None:
        """Check users who left a channel, or blocked: whom they watch, and who watches them."""
        self.leavings += 1
        for user_id in user_ids:
            self.check_soon(user_id)

    def has_ended(self) -> None:
        """Check those who may have shared a channel that is over, unseen by this node.

        Who was on it here, with a socket for all of their streams, is checked as having left it. A
        socket narrowed to another channel is not on it, and nothing says whom it concerns.
        """
        self.leavings += 1
        for connection in self._interests.watchers():
            if connection.channel is not None:
                self._later.put([connection.user_id])

    def check_soon(self, user_id: str) -> None:
        if self._touched(user_id):
            self._checks.put([user_id])

    async def aclose(self) -> None:
        await self._checks.aclose()
        await self._later.aclose()

    def _touched(self, user_id: str) -> bool:
        found = map(self._interests.find, self._hub.of_user(user_id))
        return user_id in self._interests.watched or any(i is not None and i.users for i in found)

    async def _check_all(self, user_ids: list[str]) -> None:
        waiting = list(user_ids)

        async def work() -> None:
            while waiting:
                user_id = waiting.pop()
                try:
                    await self._check(user_id)
                except ServiceUnavailable as error:
                    log.debug("visibility_not_checked", error=str(error))
                    self._checks.put([user_id])

        await asyncio.gather(*(work() for _ in range(_AT_ONCE)))

    async def _check(self, user_id: str) -> None:
        """Ask for both directions: who may see whom need not be mutual."""
        own = {c: i.users for c in self._hub.of_user(user_id) if (i := self._interests.find(c))}
        watched = self._interests.watched.get(user_id)
        watchers = set() if watched is None else set(watched.watchers)
        others = {other for users in own.values() for other in users}
        looking = {connection.user_id for connection in watchers}
        asked = next(self._turns)
        seen, seeing = await asyncio.gather(
            self.visible(user_id, others), self._ask(self._calls.viewers, user_id, looking)
        )
        for connection in own:
            self._take(connection, others, seen, asked)
        for connection in watchers:
            viewer = {connection.user_id}
            sight = Sight(*({user_id} if viewer & viewers else set() for viewers in seeing))
            self._take(connection, {user_id}, sight, asked)

    def _take(
        self, connection: Connection, users: Collection[str], sight: Sight, asked: int
    ) -> None:
        """End the interest in strangers among these users, and hide who is to be hidden.

        But for those found to be visible since that was asked. What was shared may have ended, or a
        block may have come, before they were found so, or after: that needs a new question.
        """
        interest = self._interests.find(connection)
        if interest is None:
            return
        unsure = {user_id for user_id in users if interest.found.get(user_id, 0) > asked}
        sure = set(users) - unsure
        self._interests.drop(connection, users=sure - sight.open - sight.hidden)
        if changed := self._interests.hide(connection, sure, from_now=sight.hidden):
            self._on_change(connection, changed)
        if unsure - sight.open or unsure & interest.hidden:
            self._checks.put([connection.user_id])


class _Answer(NamedTuple):
    asked: set[str]
    seeing: set[str]
    until: float


@dataclass(slots=True, eq=False)
class _OpenQuestion:
    user_id: str
    stale: bool = False
    """Who may see them has changed since it was asked."""


class Viewers:
    """Who may see somebody, for what is sent of them without a subscription to them.

    Answers are kept for a minute, unless a frame says that somebody agreed to be in a channel, or
    that a block came or went; the oldest are forgotten first.
    """

    def __init__(self, calls: ServiceCalls, clock: Callable[[], float]) -> None:
        self._calls = calls
        self._clock = clock
        self._answers: dict[str, _Answer] = {}
        self._questions: list[_OpenQuestion] = []
        """On their way."""

    def cached(self, user_id: str, others: Collection[str]) -> set[str] | None:
        """Return those of the others who may see a user, and some more; None: `fetch` it first."""
        known = self._answers.get(user_id)
        if known is None or known.until < self._clock() or not known.asked.issuperset(others):
            return None
        return known.seeing

    async def fetch(self, user_id: str, others: Collection[str]) -> None:
        """Ask. Where there is no answer, or something changes meanwhile, nothing is known."""
        question = _OpenQuestion(user_id)
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
        # Of these alone: who blocks and unblocks in a loop makes no others' answers stale.
        for question in self._questions:
            question.stale |= question.user_id in user_ids
