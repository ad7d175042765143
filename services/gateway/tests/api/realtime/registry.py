"""A stand-in for what auth knows of devices, and for what may go wrong on the way there."""

import asyncio
from collections.abc import Sequence
from typing import Any

from sharezync_gateway.realtime.peers import MOST_ASKED, Present, Revoked, digest_of
from sharezync_shared.calls.client import ServiceUnavailable
from sharezync_shared.contracts.auth import Heartbeat


class Registry:
    """auth's half of `realtime.peers.Peers`: devices, and the nodes that hold them online."""

    def __init__(self) -> None:
        self.away: set[str] = set()
        """Services that don't answer."""
        self.lost: set[str] = set()
        """Calls, by name, that never arrive."""
        self.unanswered: set[str] = set()
        """Calls, by name, that are carried out without their caller's hearing so."""
        self.gate: dict[str, asyncio.Event] = {}
        """Calls, by name, that wait for an event before they answer with what they read before."""
        self.first_gate: dict[str, asyncio.Event] = {}
        """Calls, by name, that wait for an event before they read anything."""
        self.asked: list[tuple[Any, ...]] = []
        self.lease_seconds = 60.0
        self.nodes: dict[str, set[str]] = {}
        """Ids of the devices that each node holds."""
        self.names: dict[str, tuple[str, str]] = {}
        self.sessions: dict[str, str] = {}
        """The device that each session belongs to."""
        self.removed: set[str] = set()
        """Devices that don't exist any more."""
        self.revoked = Revoked()
        self.last_seen: dict[str, str] = {}
        """What is told of each user, online or not."""

    @property
    def online(self) -> dict[tuple[str, str], bool]:
        """Each device that was ever seen, by user and client id, and whether a node holds it."""
        held = {device_id for node in self.nodes.values() for device_id in node}
        return {name: device_id in held for device_id, name in self.names.items()}

    def device_named(self, client_id: str) -> str:
        """Return the id of the device that is made for a client id."""
        return f"device-{client_id}"

    def calls(self, *names: str) -> list[str]:
        """Return the names of the calls that were made, of these only."""
        return [call[0] for call in self.asked if call[0] in names]

    async def connect_device(
        self, node_id: str, user_id: str, session_id: str, client_id: str
    ) -> str:
        await self._arrive("connect_device", client_id)
        device_id = self.device_named(client_id)
        if self.names.setdefault(device_id, (user_id, client_id))[0] != user_id:
            device_id = self.device_named(f"{client_id}-of-{user_id}")
            self.names[device_id] = (user_id, client_id)
        self.sessions.setdefault(session_id, device_id)
        self.nodes.setdefault(node_id, set()).add(device_id)
        await self._pass("connect_device")
        return device_id

    async def disconnect_device(self, node_id: str, user_id: str, device_id: str) -> None:
        await self._arrive("disconnect_device", device_id)
        self.nodes.get(node_id, set()).discard(device_id)
        await self._pass("disconnect_device")

    async def send_heartbeat(self, node_id: str) -> Heartbeat:
        await self._arrive("beat", node_id)
        held = self.nodes.setdefault(node_id, set())
        belief = Heartbeat(self.lease_seconds, len(held), digest_of(held))
        await self._pass("beat")
        return belief

    async def list_devices(
        self, node_id: str, device_ids: Sequence[str], *, after: str | None, up_to: str | None
    ) -> Heartbeat:
        await self._arrive("list_devices", list(device_ids), after, up_to)
        held = self.nodes.setdefault(node_id, set())
        within = {
            device_id
            for device_id in held
            if (after is None or device_id > after) and (up_to is None or device_id <= up_to)
        }
        held -= within
        held |= set(device_ids) - self.removed
        belief = Heartbeat(self.lease_seconds, len(held), digest_of(held))
        await self._pass("list_devices")
        return belief

    async def leave(self, node_id: str) -> None:
        await self._arrive("leave", node_id)
        self.nodes.pop(node_id, None)
        await self._pass("leave")

    async def revocations(self, since_seconds: int) -> Revoked:
        await self._arrive("revocations", since_seconds)
        revoked = self.revoked
        await self._pass("revocations")
        return revoked

    async def presence(self, user_ids: Sequence[str]) -> Present:
        assert len(user_ids) <= MOST_ASKED
        await self._arrive("presence", sorted(user_ids))
        asked = set(user_ids)
        online = {name[0] for name, is_online in self.online.items() if is_online}
        last_seen = {u: at for u, at in self.last_seen.items() if u in asked}
        present = Present(frozenset(asked & online), last_seen)
        await self._pass("presence")
        return present

    async def _arrive(self, call: str, *about: object) -> None:
        self.asked.append((call, *about))
        if call in self.first_gate:
            await self.first_gate[call].wait()
        self._answer_from("auth")
        if call in self.lost:
            raise ServiceUnavailable("auth", f"{call} was lost")

    def _answer_from(self, service: str) -> None:
        if service in self.away:
            raise ServiceUnavailable(service, "away")

    async def _pass(self, call: str) -> None:
        if call in self.gate:
            await self.gate[call].wait()
        if call in self.unanswered:
            raise ServiceUnavailable("auth", f"{call} was not answered")
