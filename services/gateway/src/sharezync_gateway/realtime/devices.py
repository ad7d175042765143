"""Devices of the sockets on this node: known to auth, and online while one of them has a socket.

About each device one call is under way at a time, so that what auth hears last is what was true
last. A device that auth could not be told of is told again when auth answers; what auth believes
too long shows in the count that it gives (`lease`).
"""

import asyncio
from collections.abc import Callable, Collection, Generator
from contextlib import contextmanager
from typing import Final

import structlog

from sharezync_gateway.realtime.connection import Connection
from sharezync_gateway.realtime.peers import Peers
from sharezync_shared.calls.client import ServiceUnavailable
from sharezync_shared.contracts.auth import TooManyDevices

log = structlog.get_logger()

_MOST_RESTS: Final = 32
"""Rounds that a device sits out at most: one that auth refuses is asked about again, seldom."""


class SocketDevice:
    """One device of one user that has a socket here, or about which auth must be told something."""

    __slots__ = ("doubted", "id", "key", "online", "rests", "retries", "sockets", "untold")

    def __init__(self, key: tuple[str, str]) -> None:
        self.key = key
        """Its user's id, and what it calls itself."""
        self.id: str | None = None
        self.sockets: list[Connection] = []
        self.untold: list[Connection] = []
        """Those of its sockets whose session auth hasn't heard of."""
        self.online: bool | None = False
        """What auth believes; None: it may be either."""
        self.doubted = False
        """Whether what is being told may be overwritten before it is answered."""
        self.retries = 0
        self.rests = 0
        """Rounds of `try_again` that it sits out before the next of its retries."""

    @property
    def settled(self) -> bool:
        """Whether there is nothing to tell."""
        if self.sockets:
            return self.online is True and not self.untold
        return self.online is False or self.id is None


class Devices:
    """Tells auth when devices come and go."""

    def __init__(
        self,
        peers: Peers,
        node_id: str,
        *,
        on_presence: Callable[[str, bool], None] = lambda _user_id, _online: None,
    ) -> None:
        """`on_presence` is told of users: of the first device that comes here, and the last gone.

        After auth, where auth could be told.
        """
        self._peers = peers
        self._node_id = node_id
        self._on_presence = on_presence
        self._here: dict[str, set[str]] = {}
        """By user, which devices of theirs were said to have come and not to have gone."""
        self._devices: dict[tuple[str, str], SocketDevice] = {}
        self._telling: dict[SocketDevice, asyncio.Task[None]] = {}
        self._unheard: set[SocketDevice] = set()
        """Those with sockets that auth could not be told of."""
        self._noticed: set[SocketDevice] | None = None
        self._stopping = False

    # --- for sockets ---------------------------------------------------------------------------

    async def connect(self, connection: Connection) -> None:
        """Make the connection's device known and online; set its `device`.

        That stays None on a socket that names no device. Where auth can't be asked it is None at
        first and set later: the socket is worth more than the name.
        """
        device = self.introduce(connection)
        if device is not None and (telling := self._telling.get(device)) is not None:
            await asyncio.wait({telling})

    def introduce(self, connection: Connection) -> SocketDevice | None:
        """As `connect`, without waiting. Once more for a socket that changed to another session."""
        if connection.client_id is None:
            return None
        key = (connection.user_id, connection.client_id)
        device = self._devices.get(key)
        if device is None:
            device = self._devices[key] = SocketDevice(key)
        if connection not in device.sockets:
            device.sockets.append(connection)
            connection.on_close(self._gone)
        if connection not in device.untold:
            device.untold.append(connection)
        self._tell(device)
        return device

    def _gone(self, connection: Connection) -> None:
        device = self._devices.get((connection.user_id, connection.client_id or ""))
        if device is None:
            return
        device.sockets.remove(connection)
        if connection in device.untold:
            device.untold.remove(connection)
        if not device.sockets:
            self._unheard.discard(device)
            self._tell(device)

    # --- for the lease -------------------------------------------------------------------------

    def held(self, *, but: Collection[SocketDevice] = ()) -> list[str]:
        """Return the ids of those, `but` these, that have a socket here and that auth was told of.

        In no order.
        """
        return [
            device.id
            for device in self._devices.values()
            if device.id is not None and device.sockets and device.online and device not in but
        ]

    @contextmanager
    def noticing(self) -> Generator[set[SocketDevice]]:
        """Collect the devices about which a call is under way at any time inside the block."""
        noticed = self._noticed = set(self._telling)
        try:
            yield noticed
        finally:
            self._noticed = None

    def try_again(self) -> None:
        """Tell auth, which answers again, of those that it could not be told of before.

        Where auth answers but not for this device, it is tried less and less often.
        """
        for device in list(self._unheard):
            if device.rests:
                device.rests -= 1
            else:
                device.rests = min(2**device.retries, _MOST_RESTS) - 1
                device.retries = min(device.retries + 1, _MOST_RESTS)
                self._tell(device)

    def tell_again(self, devices: Collection[SocketDevice]) -> None:
        """Tell what is true of these: what auth was told may have been overwritten."""
        for device in devices:
            # One that has come back meanwhile is among `devices` in its new shape.
            if self._devices.setdefault(device.key, device) is device:
                device.doubted = True
                device.online = None
                self._tell(device)

    async def stop(self) -> None:
        """Begin to tell nothing more; return when what is under way has been answered."""
        self._stopping = True
        tasks = list(self._telling.values())
        try:
            if tasks:
                await asyncio.wait(tasks)
        finally:
            for task in tasks:
                task.cancel()

    def say_gone(self) -> None:
        """Tell that everybody has gone who is still said to be here: this node has left auth."""
        here, self._here = self._here, {}
        for user_id in here:
            self._on_presence(user_id, False)

    # --- telling -------------------------------------------------------------------------------

    def _tell(self, device: SocketDevice) -> None:
        """See to it that auth hears what is true of a device, after what it is being told now."""
        if device in self._telling:
            return
        if self._stopping or device.settled:
            self._drop_if_gone(device)
            return
        if self._noticed is not None:
            self._noticed.add(device)
        task = asyncio.create_task(self._tell_all(device), name="device")
        self._telling[device] = task

    async def _tell_all(self, device: SocketDevice) -> None:
        """Tell one thing after the other, until all is told or auth can't be."""
        try:
            while not (device.settled or self._stopping):
                if not device.sockets:
                    await self._tell_offline(device)
                elif not await self._tell_online(device) and device.sockets:
                    return
        finally:
            del self._telling[device]
            if device.sockets and not device.settled:
                self._unheard.add(device)
            self._drop_if_gone(device)

    async def _tell_online(self, device: SocketDevice) -> bool:
        """Return whether auth was told."""
        connection = (device.untold or device.sockets)[0]
        user_id, client_id = device.key
        session_id = connection.session_id
        device.doubted = False
        try:
            device.id = await self._peers.connect_device(
                self._node_id, user_id, session_id, client_id
            )
        except (ServiceUnavailable, TooManyDevices) as error:
            log.debug("device_not_connected", conn_id=connection.id, error=str(error))
            device.online = device.online or None
            return False
        device.online = None if device.doubted else True
        device.retries = device.rests = 0
        self._unheard.discard(device)
        device.untold = [other for other in device.untold if other.session_id != session_id]
        for each in device.sockets:
            each.device = device.id
        self._has_come(device)
        return True

    async def _tell_offline(self, device: SocketDevice) -> None:
        """Tell, or leave it to the lease, which finds that auth believes in one too many."""
        if device.id is None:
            return
        device.doubted = False
        try:
            await self._peers.disconnect_device(self._node_id, device.key[0], device.id)
        except ServiceUnavailable as error:
            log.debug("device_not_disconnected", device_id=device.id, error=str(error))
            device.online = False
        else:
            device.online = None if device.doubted else False
        self._has_gone(device)

    def _has_come(self, device: SocketDevice) -> None:
        user_id, client_id = device.key
        here = self._here.get(user_id)
        if here is not None:  # told once more, or another device
            here.add(client_id)
            return
        self._here[user_id] = {client_id}
        self._on_presence(user_id, True)

    def _has_gone(self, device: SocketDevice) -> None:
        user_id, client_id = device.key
        here = self._here.get(user_id, set())
        here.discard(client_id)
        if not here and self._here.pop(user_id, None) is not None:
            self._on_presence(user_id, False)

    def _drop_if_gone(self, device: SocketDevice) -> None:
        if not device.sockets and self._devices.get(device.key) is device:
            del self._devices[device.key]
