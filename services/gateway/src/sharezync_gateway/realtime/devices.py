"""Devices of the sockets on this node: known to auth, and online while one of them has a socket."""

import asyncio

import structlog

from sharezync_gateway.realtime.connection import Connection
from sharezync_gateway.realtime.hub import Hub
from sharezync_gateway.realtime.peers import Peers, PeerUnavailable

log = structlog.get_logger()

_LAST_WORDS_SECONDS = 3.0


class Devices:
    """Tells auth when devices come and go."""

    def __init__(self, hub: Hub, peers: Peers) -> None:
        self._hub = hub
        self._peers = peers
        self._telling: set[asyncio.Task[None]] = set()

    async def connect(self, connection: Connection) -> None:
        """Make the connection's device known and online; set its `device`.

        That stays None on a socket that names no device, or where auth can't be asked: the socket
        is worth more than the name.
        """
        if connection.client_id is None:
            return
        try:
            device = await self._peers.connect_device(connection.user_id, connection.client_id)
        except PeerUnavailable as error:
            log.warning("device_not_connected", conn_id=connection.id, error=str(error))
            return
        connection.device = device
        connection.on_close(self._gone)
        if connection.ended:
            self._gone(connection)

    async def aclose(self) -> None:
        """Give what is being told a moment to arrive."""
        if self._telling:
            await asyncio.wait(self._telling, timeout=_LAST_WORDS_SECONDS)
        for task in self._telling:
            task.cancel()

    def _gone(self, connection: Connection) -> None:
        others = self._hub.of_user(connection.user_id)
        if connection.device and not any(c.device == connection.device for c in others):
            task = asyncio.create_task(self._tell(connection.user_id, connection.device))
            self._telling.add(task)
            task.add_done_callback(self._telling.discard)

    async def _tell(self, user_id: str, device: str) -> None:
        try:
            await self._peers.disconnect_device(user_id, device)
        except PeerUnavailable as error:
            log.warning("device_not_disconnected", device_id=device, error=str(error))
