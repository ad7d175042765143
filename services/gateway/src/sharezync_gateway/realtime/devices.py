"""Devices of the sockets on this node: known to auth, and online while one of them has a socket.

Each socket's device is registered by a call of its own, which may be repeated in any order. Which
devices have sockets here auth learns by updates: numbered, sent one at a time, each with all that
has changed since the last one that was accepted. One without changes is the heartbeat. Where auth
does not accept an update, because it had forgotten this node, the next one is a snapshot.

auth drops a node without a heartbeat for a lease's time, and all its devices with it. So
nothing that this process fails to say, by crashing or otherwise, is believed for long.
"""

import asyncio
import contextlib
from collections.abc import Callable, Collection, Mapping
from itertools import islice
from typing import Final
from uuid import UUID

import structlog

from sharezync_gateway.realtime.connection import Connection
from sharezync_gateway.realtime.metrics import SocketMetrics
from sharezync_gateway.realtime.service_calls import ServiceCalls
from sharezync_shared.background import TaskSupervisor
from sharezync_shared.calls.client import ServiceUnavailable
from sharezync_shared.contracts.auth import MAX_CHANGES, NodeUpdate, TooManyDevices

log = structlog.get_logger()

_HEARTBEATS_IN_A_LEASE: Final = 4
_RETRY_SECONDS: Final = (0.5, 1.0, 2.0, 5.0)
"""Pauses between heartbeats while auth is away; the last one repeats. Never longer than between
heartbeats that are answered: auth comes back to a lease that is running out."""
_LAST_UPDATES_SECONDS: Final = 3.0
_MAX_BACKOFF: Final = 5
"""A device that auth refuses is tried again with every 2**5th heartbeat at the least."""


class Devices:
    """Sends auth which devices have sockets here, and keeps their lease."""

    def __init__(
        self,
        calls: ServiceCalls,
        node_id: str,
        metrics: SocketMetrics,
        *,
        on_presence: Callable[[str, bool], None] = lambda _user_id, _online: None,
    ) -> None:
        """`on_presence` is called with users whose first device came here, or whose last one left.

        After auth knows. `node_id` is this process's alone.
        """
        self._calls = calls
        self._node_id = node_id
        self._metrics = metrics
        self._on_presence = on_presence
        self._failures: dict[Connection, int] = {}
        """Each socket with a device, and how often in a row it could not be registered."""
        self._tasks = TaskSupervisor()
        self._retries = 0
        self._retry_at = 0.0
        self._sockets: dict[str, set[Connection]] = {}
        """By id of the device."""
        self._changed: dict[str, str] = {}
        """Devices of which auth may not know what is so, each with its user."""
        self._online: dict[str, set[str]] = {}
        """By user, their devices that have sockets here as far as auth knows."""
        self._seq = 0
        """Number of the last update."""
        self._accepted_seq = 0
        """Number of the last one that was accepted; 0: the next one is a snapshot."""
        self._next_update = asyncio.Event()
        """Set when the next update was answered, or could not be sent."""
        self._wake = asyncio.Event()
        self._pause_seconds = _RETRY_SECONDS[-1]
        self._leaving = False
        self._updating: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to send updates; whether auth answers or not, nobody waits for it."""
        self._updating = self._tasks.start(self._update_forever(), name="devices")

    async def aclose(self) -> None:
        """Stop, and report this node's devices as offline, to auth and to `on_presence`.

        Takes some seconds at most. Safe to repeat.
        """
        updating, self._updating = self._updating, None
        if updating is None:
            return
        self._leaving = True
        self._wake.set()
        try:
            async with asyncio.timeout(_LAST_UPDATES_SECONDS):
                await asyncio.wait({updating})
                self._sockets.clear()
                self._accepted_seq = 0
                while self._changed or not self._accepted_seq:
                    await self._send_update()
        except (ServiceUnavailable, TimeoutError) as error:
            log.warning("node_not_deleted", error=repr(error))
        finally:
            await self._tasks.wind_down()

    # --- registering ---------------------------------------------------------------------------

    async def connect(self, connection: Connection) -> None:
        """Make the connection's device known and online; set its `device`.

        That stays None on a socket that names no device. Where auth can't be asked it is None at
        first and set later: the socket is worth more than the name.
        """
        if connection.client_id is None or connection.ended or self._leaving:
            return
        self._failures[connection] = 0
        connection.on_close(self._disconnect)
        await self._register(connection)

    def register_soon(self, connection: Connection) -> None:
        """Register a socket once more, without waiting: it has changed to another session."""
        if connection in self._failures:
            self._tasks.start(self._register(connection), name="device")

    async def _register(self, connection: Connection) -> None:
        user_id, client_id = connection.user_id, connection.client_id or ""
        try:
            device_id = await self._calls.connect_device(user_id, connection.session_id, client_id)
        except (ServiceUnavailable, TooManyDevices) as error:
            log.debug("device_not_connected", conn_id=connection.id, error=str(error))
            if connection in self._failures:
                self._failures[connection] += 1
            return
        if connection not in self._failures or self._leaving:
            return
        self._failures[connection] = 0
        if connection.device != device_id:  # it was deleted, and made again
            self._remove(connection)
        connection.device = device_id
        self._sockets.setdefault(device_id, set()).add(connection)
        self._change(device_id, user_id)
        await self._next_update.wait()

    def _retry(self) -> None:
        """Register those that could not be, where auth answers again.

        Where it answers but not for this device, that is tried less and less often.
        """
        now = asyncio.get_running_loop().time()
        if now < self._retry_at:
            return
        self._retry_at = now + self._pause_seconds
        self._retries += 1
        for connection, failures in self._failures.items():
            if failures and self._retries % 2 ** min(failures - 1, _MAX_BACKOFF) == 0:
                self.register_soon(connection)

    def _disconnect(self, connection: Connection) -> None:
        self._failures.pop(connection, None)
        self._remove(connection)

    def _remove(self, connection: Connection) -> None:
        device_id = connection.device or ""
        sockets = self._sockets.get(device_id, set())
        sockets.discard(connection)
        if not sockets and self._sockets.pop(device_id, None) is not None:
            self._change(device_id, connection.user_id)

    # --- updates -------------------------------------------------------------------------------

    def _change(self, device_id: str, user_id: str) -> None:
        self._changed[device_id] = user_id
        self._wake.set()

    async def _update_forever(self) -> None:
        failures = 0
        while not self._leaving:
            self._wake.clear()
            try:
                pause_seconds = await self.send_heartbeat()
            except Exception as error:  # the boundary: without heartbeats all devices go offline
                self._metrics.heartbeats("failed").inc()
                known = isinstance(error, ServiceUnavailable)
                if not (failures and known):
                    log.warning("heartbeat_failed", error=repr(error), exc_info=not known)
                retry_seconds = _RETRY_SECONDS[min(failures, len(_RETRY_SECONDS) - 1)]
                pause_seconds = min(retry_seconds, self._pause_seconds)
                failures += 1
            else:
                self._metrics.heartbeats("ok").inc()
                if failures:
                    log.info("heartbeat_recovered", failures=failures)
                failures = 0
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause_seconds):
                    await self._wake.wait()

    async def send_heartbeat(self) -> float:
        """Say that this node lives, and what has changed; return the seconds to the next time.

        Raises ServiceUnavailable.
        """
        await self._send_update()
        if not self._accepted_seq:
            self._metrics.device_lists.inc()
            log.info("devices_listed", devices=len(self._sockets))
            await self._send_update()
        if self._changed:
            self._wake.set()
        self._retry()
        return self._pause_seconds

    async def _send_update(self) -> None:
        if not self._accepted_seq:
            self._changed |= {
                device_id: user_id
                for user_id, device_ids in self._online.items()
                for device_id in device_ids
            }
            for device_id, sockets in self._sockets.items():
                self._changed[device_id] = next(iter(sockets)).user_id
        # What changes from here on is for the next update, even if this one arrives much later.
        changes = dict(islice(self._changed.items(), MAX_CHANGES))
        for device_id in changes:
            del self._changed[device_id]
        connected = changes.keys() & self._sockets.keys()
        self._seq += 1
        change = NodeUpdate(
            self._seq,
            self._accepted_seq,
            [UUID(device_id) for device_id in connected],
            [UUID(device_id) for device_id in changes.keys() - connected],
        )
        answered, self._next_update = self._next_update, asyncio.Event()
        accepted = False
        try:
            answer = await self._calls.update_node(self._node_id, change)
            accepted = answer.accepted
            self._pause_seconds = answer.lease_seconds / _HEARTBEATS_IN_A_LEASE
            self._accepted_seq = self._seq if accepted else 0
            self._seq = max(self._seq, answer.seq)
        finally:
            if not accepted:
                self._changed = changes | self._changed
            answered.set()
        if accepted:
            self._publish_presence(changes, connected)

    def _publish_presence(self, changes: Mapping[str, str], connected: Collection[str]) -> None:
        """Say of whose devices the first has come or the last has gone."""
        were_online = {user_id for user_id in changes.values() if user_id in self._online}
        for device_id, user_id in changes.items():
            online = self._online.setdefault(user_id, set())
            if device_id in connected:
                online.add(device_id)
            else:
                online.discard(device_id)
        for user_id in set(changes.values()):
            if not self._online[user_id]:
                del self._online[user_id]
            if (user_id in self._online) != (user_id in were_online):
                self._on_presence(user_id, user_id in self._online)
