"""A node's devices, over a stand-in for auth."""

import asyncio
from collections.abc import Callable
from typing import Any, cast

from prometheus_client import CollectorRegistry

from services.gateway.tests.api.realtime.registry import Registry, device_named
from sharezync_gateway.realtime.connection import Connection
from sharezync_gateway.realtime.devices import Devices
from sharezync_gateway.realtime.metrics import SocketMetrics
from sharezync_gateway.realtime.service_calls import ServiceCalls

NODE = "n"


async def moments(count: int = 10) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


class Socket:
    """As much of a connection as its device sees."""

    def __init__(self, client_id: str, session_id: str) -> None:
        self.id = client_id
        self.user_id = "u"
        self.client_id = client_id
        self.session_id = session_id
        self.device: str | None = None
        self.ended = False
        self._on_close: list[Callable[[Any], None]] = []

    def on_close(self, callback: Callable[[Any], None]) -> None:
        self._on_close.append(callback)

    def end(self) -> None:
        self.ended = True
        for callback in self._on_close:
            callback(self)


class Rig:
    """A node's devices, over a stand-in for auth. Heartbeats are sent when a test says so."""

    def __init__(self, auth: Registry | None = None, node_id: str = NODE) -> None:
        self.auth = auth or Registry()
        self.auth.lease_seconds = 0.0  # what failed may be tried again with each heartbeat
        self.node_id = node_id
        self.said: list[bool] = []
        """What was said of the one user: has come, or has gone."""
        self.metrics = CollectorRegistry()
        self.devices = Devices(
            cast("ServiceCalls", self.auth),
            node_id,
            SocketMetrics(self.metrics),
            on_presence=lambda _user_id, online: self.said.append(online),
        )
        self.sockets: dict[str, Socket] = {}
        self.connecting: set[asyncio.Task[None]] = set()

    def comes(self, client_id: str, session_id: str = "s") -> Socket:
        socket = self.sockets[client_id] = Socket(client_id, session_id)
        connecting = asyncio.create_task(self.devices.connect(cast("Connection", socket)))
        self.connecting.add(connecting)
        connecting.add_done_callback(self.connecting.discard)
        return socket

    async def come(self, *client_ids: str) -> None:
        for client_id in client_ids:
            self.comes(client_id)
        await moments()
        await self.beat()

    def goes(self, client_id: str) -> None:
        self.sockets.pop(client_id).end()

    async def beat(self, times: int = 1) -> None:
        for _ in range(times):
            await self.devices.send_heartbeat()
            await moments()

    @property
    def believed(self) -> set[str]:
        """What auth believes to be connected to this node."""
        return self.auth.nodes.get(self.node_id, set())

    @property
    def told(self) -> list[tuple[int, set[str], set[str]]]:
        """What updates said: after which, which devices came, which are gone."""
        return [
            (each.after, set(map(str, each.connected)), set(map(str, each.disconnected)))
            for each in self.auth.updates
        ]


def devices(*client_ids: str) -> set[str]:
    return set(map(device_named, client_ids))
