"""Comparing what sockets are on with what the services say: after a gap, and now and then.

A frame that was lost shows by the next one of its stream. A frame that let somebody in shows by
nothing, and neither does the last frame of a quiet stream: for those somebody has to ask.
"""

import asyncio
from collections.abc import Callable
from itertools import chain, repeat
from typing import Final

import structlog

from sharezync_gateway.realtime.hub import Hub
from sharezync_gateway.realtime.stream_membership import StreamMembership
from sharezync_shared.background import TaskSupervisor
from sharezync_shared.calls.client import ServiceUnavailable

log = structlog.get_logger()

_AT_ONCE: Final = 16
_PER_SECOND: Final = 50
"""Users that are rechecked in a second after a gap, of which all nodes hear at the same moment.
What happened on streams that somebody is on is known by then; this finds what nothing told of."""
_SOON_SECONDS: Final = (0.5, 1.0, 2.0, 5.0, 10.0)
"""Pauses before asking again a service that did not answer; the last one repeats."""


class Reconciler:
    """Rechecks users: all of them, or one soon, or each once in `period_seconds`."""

    def __init__(
        self,
        hub: Hub,
        stream_membership: StreamMembership,
        period_seconds: float,
        *,
        on_recheck: Callable[[str], None],
    ) -> None:
        """`on_recheck` is called with each user, for whatever else is to be compared."""
        self._hub = hub
        self._on_recheck = on_recheck
        self._stream_membership = stream_membership
        self._period_seconds = period_seconds
        self._tasks = TaskSupervisor()
        self._soon: set[str] = set()
        """Users whom a task rechecks until every service has answered."""
        self._again: set[str] = set()
        """Users for whom it was asked while they were being rechecked: for a socket that came
        after the question."""

    def start(self) -> None:
        self._tasks.start(self._go_round(), name="recheck")

    def recheck_soon(self, user_id: str) -> None:
        """Ask again, until every service has answered or the user has gone."""
        self._again.add(user_id)
        if user_id not in self._soon:
            self._soon.add(user_id)
            self._tasks.start(self._until_answered(user_id), name="recheck-soon")

    async def recheck_all(self) -> None:
        """Recheck every user that is connected now; some at a time."""
        waiting = list(self._hub.users)

        async def work() -> None:
            while waiting:
                await self._recheck(waiting.pop())
                if waiting:
                    await asyncio.sleep(_AT_ONCE / _PER_SECOND)

        await asyncio.gather(*(work() for _ in range(_AT_ONCE)))

    def recheck_all_soon(self) -> None:
        """Do so in the background."""
        self._tasks.start(self.recheck_all(), name="recheck-all")

    async def aclose(self) -> None:
        await self._tasks.wind_down()

    async def _recheck(self, user_id: str) -> None:
        self._on_recheck(user_id)
        if not await self._is_answered(user_id):
            self.recheck_soon(user_id)

    async def _is_answered(self, user_id: str) -> bool:
        """Recheck a user; False where a service did not answer."""
        try:
            return not await self._stream_membership.recheck(user_id)
        except (ServiceUnavailable, TimeoutError) as error:
            log.debug("recheck_failed", error=repr(error))
            return False

    async def _until_answered(self, user_id: str) -> None:
        pauses = chain(_SOON_SECONDS, repeat(_SOON_SECONDS[-1]))
        try:
            while user_id in self._hub.users:
                await asyncio.sleep(next(pauses))
                self._again.discard(user_id)
                if await self._is_answered(user_id) and user_id not in self._again:
                    return
        finally:  # at once: this task does not see who asks from here on
            self._again.discard(user_id)
            self._soon.discard(user_id)

    async def _go_round(self) -> None:
        while True:
            users = list(self._hub.users)
            for user_id in users:
                await asyncio.sleep(self._period_seconds / len(users))
                if user_id in self._hub.users:
                    await self._recheck(user_id)
            if not users:
                await asyncio.sleep(1)
