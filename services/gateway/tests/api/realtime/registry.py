"""A stand-in for what auth knows of devices, and for what may go wrong on the way there."""

import asyncio
from collections.abc import Collection
from typing import Any
from uuid import NAMESPACE_OID, uuid5

from sharezync_gateway.realtime.service_calls import Present, Revoked
from sharezync_shared.calls.client import ServiceUnavailable
from sharezync_shared.contracts.auth import NodeLease, NodeUpdate


def device_named(client_id: str) -> str:
    """Return the id of the device with this client id, whoever has one first."""
    return str(uuid5(NAMESPACE_OID, client_id))


class Registry:
    """auth's half of `ServiceCalls`: devices, and the nodes that hold them online."""

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
        """Ids of the devices that are connected to each node."""
        self.seqs: dict[str, int] = {}
        """Number of the last update of each node that was accepted."""
        self.names: dict[str, tuple[str, str]] = {}
        self.sessions: dict[str, str] = {}
        """The device that each session belongs to."""
        self.revoked = Revoked()
        self.last_seen: dict[str, str] = {}
        """What is told of each user, online or not."""

    @property
    def online(self) -> dict[tuple[str, str], bool]:
        """Each device that was ever seen, by user and client id, and whether a node holds it."""
        held = {device_id for node in self.nodes.values() for device_id in node}
        return {name: device_id in held for device_id, name in self.names.items()}

    @property
    def updates(self) -> list[NodeUpdate]:
        """The updates of nodes that were sent."""
        return [call[2] for call in self.asked if call[0] == "update_node"]

    def forget_nodes(self) -> None:
        """Give up all nodes, as after a long silence."""
        self.nodes.clear()
        self.seqs.clear()

    def calls(self, *names: str) -> list[str]:
        """Return the names of the calls that were made, of these only."""
        return [call[0] for call in self.asked if call[0] in names]

    async def connect_device(self, user_id: str, session_id: str, client_id: str) -> str:
        await self._arrive("connect_device", client_id)
        device_id = device_named(client_id)
        if self.names.setdefault(device_id, (user_id, client_id))[0] != user_id:
            device_id = device_named(f"{client_id}-of-{user_id}")
            self.names[device_id] = (user_id, client_id)
        self.sessions.setdefault(session_id, device_id)
        await self._pass("connect_device")
        return device_id

    async def update_node(self, node_id: str, change: NodeUpdate) -> NodeLease:
        await self._arrive("update_node", node_id, change)
        lease = self.accept(node_id, change)
        await self._pass("update_node")
        return lease

    def accept(self, node_id: str, change: NodeUpdate) -> NodeLease:
        """Take an update over as auth does (`sharezync_auth.usecases.nodes`)."""
        seq = self.seqs.get(node_id, 0)
        if change.seq <= seq or change.after > seq:
            return NodeLease(self.lease_seconds, seq, accepted=False)
        before = self.nodes.get(node_id, set()) if change.after else set()
        gone, come = ({str(i) for i in ids} for ids in (change.disconnected, change.connected))
        self.nodes[node_id] = (before - gone) | come
        self.seqs[node_id] = change.seq
        return NodeLease(self.lease_seconds, change.seq, accepted=True)

    async def revocations(self, since_seconds: int) -> Revoked:
        await self._arrive("revocations", since_seconds)
        revoked = self.revoked
        await self._pass("revocations")
        return revoked

    async def presence(self, user_ids: Collection[str]) -> Present:
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
