"""A node's devices and their lease, over a stand-in for auth."""

from collections.abc import Callable
from typing import Any, cast

from prometheus_client import CollectorRegistry

from services.gateway.tests.api.realtime.registry import Registry
from sharezync_gateway.realtime.connection import Connection
from sharezync_gateway.realtime.devices import Devices
from sharezync_gateway.realtime.lease import Lease
from sharezync_gateway.realtime.metrics import SocketMetrics
from sharezync_gateway.realtime.peers import Peers

NODE = "n"


class Socket:
    """As much of a connection as its device sees."""

    def __init__(self, client_id: str, session_id: str) -> None:
        self.id = client_id
        self.user_id = "u"
        self.client_id = client_id
        self.session_id = session_id
        self.device: str | None = None
        self._on_close: list[Callable[[Any], None]] = []

    def on_close(self, callback: Callable[[Any], None]) -> None:
        self._on_close.append(callback)

    def end(self) -> None:
        for callback in self._on_close:
            callback(self)


class Rig:
    """A node's devices and lease, over a stand-in for auth."""

    def __init__(self, auth: Registry | None = None) -> None:
        self.auth = auth or Registry()
        peers = cast("Peers", self.auth)
        self.said: list[bool] = []
        """What was said of the one user: has come, or has gone."""
        self.devices = Devices(
            peers, NODE, on_presence=lambda _user_id, online: self.said.append(online)
        )
        metrics = SocketMetrics(CollectorRegistry())
        self.lease = Lease(peers, self.devices, NODE, metrics)
        self.sockets: dict[str, Socket] = {}

    def comes(self, client_id: str, session_id: str = "s") -> Socket:
        socket = self.sockets[client_id] = Socket(client_id, session_id)
        self.devices.introduce(cast("Connection", socket))
        return socket

    async def come(self, *client_ids: str) -> None:
        for client_id in client_ids:
            socket = self.comes(client_id)
            await self.devices.connect(cast("Connection", socket))

    def goes(self, client_id: str) -> None:
        self.sockets.pop(client_id).end()

    async def beat(self, times: int = 1) -> None:
        for _ in range(times):
            await self.lease.send_heartbeat()

    @property
    def believed(self) -> set[str]:
        """What auth believes this node holds."""
        return self.auth.nodes.get(NODE, set())

    @property
    def lists(self) -> list[tuple[Any, ...]]:
        return [call[1:] for call in self.auth.asked if call[0] == "list_devices"]
