"""What holds this node's devices online: its heartbeats, and its list where auth's belief is wrong.

auth gives up a node that it hasn't heard of for a lease's time, and all its devices with it. So
nothing that this process fails to say, by crashing or otherwise, is believed for long.
"""

import asyncio
import contextlib
from collections.abc import Generator, Sequence
from itertools import combinations
from typing import Final

import structlog

from sharezync_gateway.realtime.devices import Devices, SocketDevice
from sharezync_gateway.realtime.metrics import SocketMetrics
from sharezync_gateway.realtime.peers import Peers, digest_of
from sharezync_shared.calls.client import ServiceUnavailable
from sharezync_shared.contracts.auth import Heartbeat

log = structlog.get_logger()

MOST_LISTED: Final = 5000
"""Devices in one call, as auth bounds it."""
_BEATS_IN_A_LEASE: Final = 4
_MOST_WEIGHED: Final = 8
"""Devices that come and go during a heartbeat of which every choice is tried: 256 at most."""
_RETRY_SECONDS: Final = (0.5, 1.0, 2.0, 5.0)
"""Pauses between heartbeats while auth is away; the last one repeats. Never longer than between
heartbeats that are answered: auth comes back to a lease that is running out."""
_PATIENCE_SECONDS: Final = 5.0
"""For one call: several fit into a lease."""
_LAST_WORDS_SECONDS: Final = 3.0


class Lease:
    """Keeps auth's belief about this node's devices alive, and true."""

    def __init__(
        self, peers: Peers, devices: Devices, node_id: str, metrics: SocketMetrics
    ) -> None:
        self._peers = peers
        self._devices = devices
        self._node_id = node_id
        self._metrics = metrics
        self._surprises = 0
        """Heartbeats in a row that were answered with other devices than we hold."""
        self._passed_over = 0
        """Devices of our last list that auth has not: they were removed, their sockets live on."""
        self._passed_over_digest = 0
        self._beat_seconds = _RETRY_SECONDS[-1]
        self._leaving = asyncio.Event()
        self._beating: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to beat; whether auth answers or not, nobody waits for it."""
        self._beating = asyncio.create_task(self._beat_on(), name="lease")

    async def aclose(self) -> None:
        """Stop, and say so, to auth and to who is told of presence: this node's devices are offline
        then. Takes some seconds at most. Safe to repeat.
        """
        beating, self._beating = self._beating, None
        if beating is None:
            return
        self._leaving.set()
        try:
            async with asyncio.timeout(_LAST_WORDS_SECONDS):
                # What reached auth after our leaving would bring devices back for a lease's time.
                await self._devices.stop()
                await asyncio.wait({beating})
                await self._peers.leave(self._node_id)
            self._devices.say_gone()
        except (ServiceUnavailable, TimeoutError) as error:
            log.warning("node_not_deleted", error=repr(error))
        finally:
            beating.cancel()
            await asyncio.gather(beating, return_exceptions=True)

    async def send_heartbeat(self) -> float:
        """Say that we live, and put right what auth believes; return the seconds to the next time.

        Raises ServiceUnavailable or TimeoutError.
        """
        with self._devices.noticing() as unsure:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                answer = await self._peers.send_heartbeat(self._node_id)
        if self._is_surprising(answer, unsure):
            await self._send_list()
        self._devices.try_again()
        self._beat_seconds = answer.lease_seconds / _BEATS_IN_A_LEASE
        return self._beat_seconds

    async def _beat_on(self) -> None:
        failures = 0
        while not self._leaving.is_set():
            try:
                pause_seconds = await self.send_heartbeat()
            except (ServiceUnavailable, TimeoutError) as error:
                self._metrics.heartbeats("failed").inc()
                if not failures:
                    log.warning("heartbeat_failed", error=repr(error))
                retry_seconds = _RETRY_SECONDS[min(failures, len(_RETRY_SECONDS) - 1)]
                pause_seconds = min(retry_seconds, self._beat_seconds)
                failures += 1
            except Exception:  # the rim: without a heartbeat all devices go offline
                self._metrics.heartbeats("failed").inc()
                log.exception("heartbeat_failed")
                pause_seconds = _RETRY_SECONDS[-1]
            else:
                self._metrics.heartbeats("ok").inc()
                if failures:
                    log.info("heartbeat_recovered", failures=failures)
                failures = 0
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause_seconds):
                    await self._leaving.wait()

    def _is_surprising(self, belief: Heartbeat, unsure: set[SocketDevice]) -> bool:
        """Whether what auth believed, while devices in `unsure` came or went, calls for the list.

        What is wrong once may be a call that auth took in and answered too late for us.
        """
        sure = self._devices.held(but=unsure)
        least = len(sure) - self._passed_over
        if self._is_true(belief, sure, unsure):
            self._surprises = 0
            return False
        self._surprises += 1
        forgotten = belief.devices == 0 < least
        return forgotten or self._surprises > 1

    def _is_true(self, belief: Heartbeat, sure: Sequence[str], unsure: set[SocketDevice]) -> bool:
        """Whether auth may hold those we are sure of, any of the others, and none besides."""
        others = belief.devices - (len(sure) - self._passed_over)
        if not 0 <= others <= len(unsure):
            return False
        ids = [device.id for device in unsure if device.id is not None]
        if len(ids) < len(unsure) or len(ids) > _MOST_WEIGHED:
            return True  # by the count at least; a quieter moment will tell
        rest = belief.digest ^ digest_of(sure) ^ self._passed_over_digest
        return any(digest_of(some) == rest for some in combinations(ids, others))

    async def _send_list(self) -> None:
        """Say which devices we hold, all of them. Raises ServiceUnavailable or TimeoutError."""
        ids = sorted(self._devices.held())
        answer: Heartbeat | None = None
        with self._devices.noticing() as changed:
            try:
                for page, after, up_to in _pages(ids):
                    async with asyncio.timeout(_PATIENCE_SECONDS):
                        answer = await self._peers.list_devices(
                            self._node_id, page, after=after, up_to=up_to
                        )
            finally:
                self._devices.tell_again(changed)
        self._surprises = 0
        if answer is not None and not changed:
            self._passed_over = len(ids) - answer.devices
            self._passed_over_digest = digest_of(ids) ^ answer.digest
        self._metrics.device_lists.inc()
        log.info("devices_listed", held=len(ids), believed=answer and answer.devices)


def _pages(ids: Sequence[str]) -> Generator[tuple[Sequence[str], str | None, str | None]]:
    """Cut sorted ids into pages with their bounds; together these cover every id there could be."""
    for start in range(0, len(ids) or 1, MOST_LISTED):
        page = ids[start : start + MOST_LISTED]
        is_last = start + MOST_LISTED >= len(ids)
        yield page, ids[start - 1] if start else None, None if is_last else page[-1]
