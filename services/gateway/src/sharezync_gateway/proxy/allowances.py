"""The way to one service, as all requests share it: breaker, places, memory for what is held."""

import asyncio
from collections.abc import Callable
from typing import Final

from sharezync_gateway.proxy.bulkhead import Bulkhead, BulkheadLimits, Quota, WaitingClient
from sharezync_gateway.proxy.upstream import Upstream
from sharezync_shared.calls.breaker import Breaker, Call, CircuitOpen
from sharezync_shared.fair_slots import FairSlot
from sharezync_shared.problems import Unavailable

MAX_BUFFERED_BYTES: Final = 64 * 1024 * 1024
"""Bodies, and large answers, that wait in memory, of all callers; each of the two for itself."""
MAX_BUFFERED_OF_ONE_BYTES: Final = 8 * 1024 * 1024
MOST_WHOLE_BYTES: Final = 1024 * 1024
"""Up to here an answer is read whole, where there is room."""

_MOST_BEGINNING: Final = 8
_BEGINNING_SECONDS: Final = 0.1
_ABANDONED_SECONDS: Final = 2.0
"""How long a caller has a turn less for a request that they left once it had begun: who begins and
leaves, again and again, costs a service more than who stays. It delays others of theirs, and
refuses none: those wait for longer."""


class ProxyMemory:
    """What all requests together may hold. For one process."""

    def __init__(self) -> None:
        self.bodies = Quota(MAX_BUFFERED_BYTES, MAX_BUFFERED_OF_ONE_BYTES)
        self.answers = Quota(MAX_BUFFERED_BYTES, MAX_BUFFERED_OF_ONE_BYTES)


class ServiceAdmission:
    """What is between all requests and one service."""

    def __init__(self, upstream: Upstream, limits: BulkheadLimits, breaker: Breaker) -> None:
        self.upstream = upstream
        self.breaker = breaker
        # Requests that are over soon never wait for those that last.
        self.short = Bulkhead(limits)
        self.long = Bulkhead(limits, fewest_first=True)
        # Hundreds that begin at once would be in front of everybody else's next one.
        self.beginning = Bulkhead(
            BulkheadLimits(
                total=_MOST_BEGINNING,
                per_caller=_MOST_BEGINNING // 2,
                wait_seconds=limits.wait_seconds + 2 * _ABANDONED_SECONDS,
            ),
            queue=limits.total,
            fewest_first=True,
        )


class RequestAllowance:
    """One request's share of a way and of memory. `close` gives all of it back."""

    __slots__ = (
        "_beginning", "_bulkhead", "_call", "_caller", "_has_begun", "_held", "_inside", "_memory",
        "_slot", "_way",
    )  # fmt: skip

    def __init__(
        self, way: ServiceAdmission, memory: ProxyMemory, caller: str, *, is_long: bool
    ) -> None:
        self._way = way
        self._memory = memory
        self._caller = caller
        self._bulkhead = way.long if is_long else way.short
        self._inside = False
        self._beginning: asyncio.TimerHandle | None = None
        self._has_begun = False
        self._slot: FairSlot | None = None
        self._call: Call | None = None
        self._held: dict[Quota, int] = {}

    def buffer_body(self, size_bytes: int) -> bool:
        """Whether so many more bytes of the body may be held."""
        return self._hold(self._memory.bodies, size_bytes)

    def buffer_answer(self, size_bytes: int) -> bool:
        """Whether an answer of so many bytes may be read whole."""
        if self._bulkhead is self._way.long or size_bytes > MOST_WHOLE_BYTES:
            return False
        return self._hold(self._memory.answers, size_bytes)

    async def enter(self, end: Callable[[], None], client: WaitingClient) -> None:
        """Take a place, and ask the breaker. Raises Unavailable, and ClientGone if `client` leaves.

        `end` is called where the service turns out not to live, before it has begun to answer. What
        moves bytes waits all the same: a pause of some seconds must not cost an upload. It ends
        where others need its place more.
        """
        breaker = self._way.breaker
        lasts = self._bulkhead is self._way.long
        if lasts:
            self._slot = FairSlot(self._caller, end, asyncio.get_running_loop().time())
        try:
            breaker.check()  # first: nobody waits for a place that would be of no use
            await self._bulkhead.enter(self._caller, self._slot, client)
            self._inside = True
            if lasts:
                await self._begin(client)
            self._call = breaker.enter(None if lasts else end)
        except CircuitOpen as error:
            raise Unavailable(
                "The service is temporarily unavailable",
                retry_after_seconds=error.retry_after_seconds,
            ) from None

    async def _begin(self, client: WaitingClient) -> None:
        """Wait for a turn. It ends with the answer, or soon: an upload's answer is its end."""
        await self._way.beginning.enter(self._caller, client=client)
        self._has_begun = True
        loop = asyncio.get_running_loop()
        self._beginning = loop.call_later(_BEGINNING_SECONDS, self._begun)

    def _begun(self) -> None:
        if self._beginning is not None:
            self._beginning.cancel()
            self._beginning = None
            self._way.beginning.leave(self._caller)

    @property
    def gave_way(self) -> bool:
        """Whether its place has gone to another request."""
        return self._slot is not None and self._slot.ended

    def moved(self, size_bytes: int) -> None:
        """Note that the client has sent or taken so many bytes."""
        if self._slot is not None:
            self._slot.moved_bytes += size_bytes

    def answered(self) -> None:
        """Note that the service has begun to answer."""
        self._begun()
        call, self._call = self._call, None
        if call is not None:
            self._way.breaker.succeeded(call)

    def failed(self, error: BaseException) -> None:
        """Note that the service has given no answer."""
        call, self._call = self._call, None
        if call is not None:
            self._way.breaker.failed(call, error)

    def leave(self) -> None:
        """Give the place back: the service has said all. Safe to repeat."""
        self._begun()
        if self._inside:
            self._inside = False
            self._bulkhead.leave(self._caller, self._slot)

    def close(self, *, abandoned: bool) -> None:
        """Give everything back. Called once. `abandoned`: the client has left before the end."""
        call, self._call = self._call, None
        if call is not None:
            self._way.breaker.abandoned(call)
        self.leave()
        if abandoned and self._has_begun:
            self._way.beginning.rest(self._caller, _ABANDONED_SECONDS)
        for quota, size_bytes in self._held.items():
            quota.give_back(self._caller, size_bytes)

    def _hold(self, quota: Quota, size_bytes: int) -> bool:
        if not quota.reserve(self._caller, size_bytes):
            return False
        self._held[quota] = self._held.get(quota, 0) + size_bytes
        return True
