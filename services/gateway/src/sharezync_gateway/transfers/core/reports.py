"""Reports of progress to transfer: at most two a second from each end, and none is lost.

Where transfer takes its time for them there are fewer: progress must not cost more than the bytes.
"""

import asyncio
from typing import Final
from uuid import UUID

import structlog

from sharezync_gateway.transfers.core.calls import Caller, TransferCalls
from sharezync_shared.background import TaskSupervisor
from sharezync_shared.calls.client import ServiceUnavailable
from sharezync_shared.problems import Problem
from sharezync_shared.ranges import Ranges

log = structlog.get_logger()

FIRST_SECONDS: Final = 0.1
"""Before the first report: while a transfer begins, there is more urgent work."""
BETWEEN_SECONDS: Final = 0.5
"""Both ends are sent each report of either: a bar moves four times a second. Each report costs some
milliseconds of CPU, as some chunks do."""
LONGEST_BETWEEN_SECONDS: Final = 1.0
_TIMES: Final = 16
"""How many times as long as the last report took there is none, within those bounds."""
_PAUSES_SECONDS: Final = (0.2, 0.5, 1.0, 2.0, 4.0, 8.0, 8.0, 8.0)
"""Between attempts while transfer is away. What was never reported, a resume makes good."""


class Reporter:
    """Collects what one participant of a transfer has to report, and reports it.

    The first report leaves after a moment; what comes within the next half second goes together.
    Outlives the socket: what was acknowledged must not be asked for again.
    """

    def __init__(
        self, calls: TransferCalls, tasks: TaskSupervisor, transfer_id: UUID, caller: Caller
    ) -> None:
        self._calls = calls
        self._tasks = tasks
        self._transfer_id = transfer_id
        self._caller = caller
        self._stored: dict[int, int] = {}
        self._received: dict[int, Ranges] = {}
        self._urgent = asyncio.Event()
        self._next_at: float | None = None
        self._task: asyncio.Task[None] | None = None

    def stored(self, file: int, total_bytes: int) -> None:
        """Note how much of a file of the sender's is stored."""
        self._stored[file] = max(total_bytes, self._stored.get(file, 0))
        self._go()

    def received(self, file: int, confirmed: Ranges, *, urgent: bool = False) -> None:
        """Note which chunks a recipient holds; with `urgent` it is reported without delay."""
        self._received[file] = self._received.get(file, Ranges()) | confirmed
        if urgent:
            self._urgent.set()
        self._go()

    def _go(self) -> None:
        if self._task is None:
            self._task = self._tasks.start(self._report_all(), "transfer-report")

    async def _report_all(self) -> None:
        try:
            while self._stored or self._received:
                await self._wait_for_turn()
                await self._report()
        finally:
            self._task = None

    async def _wait_for_turn(self) -> None:
        now = asyncio.get_running_loop().time()
        if self._next_at is None:
            self._next_at = now + FIRST_SECONDS
        wait_seconds = self._next_at - now
        if wait_seconds > 0:
            try:
                async with asyncio.timeout(wait_seconds):
                    await self._urgent.wait()
            except TimeoutError:
                pass
        self._urgent.clear()

    async def _report(self) -> None:
        stored, self._stored = self._stored, {}
        received, self._received = self._received, {}
        for pause_seconds in (*_PAUSES_SECONDS, None):
            began = asyncio.get_running_loop().time()
            self._next_at = began + BETWEEN_SECONDS
            try:
                await self._calls.report(
                    self._transfer_id, self._caller, stored=stored, received=received
                )
            except ServiceUnavailable as error:
                if pause_seconds is None:
                    log.debug("progress_not_reported", error=str(error))
                    return
                await asyncio.sleep(pause_seconds)
            except Problem:
                return  # it is gone, and nobody wants to know any more
            else:
                took = asyncio.get_running_loop().time() - began
                between = min(max(BETWEEN_SECONDS, took * _TIMES), LONGEST_BETWEEN_SECONDS)
                self._next_at = began + between
                return
