"""Updates of gateway nodes against a model, lost, late, repeated and reordered as it happens.

MODEL_EXAMPLES asks for as many stories as one has time for; without it there are a few.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from services.auth.tests.api.conftest import Account, Auth
from services.auth.tests.api.nodes import Node, online
from sharezync_auth.usecases.sweeping import give_up_nodes
from sharezync_testkit.run_setup import asked_examples, model_settings
from sharezync_testkit.threads import LoopThread

NAMES: Final = ("phone", "laptop", "tablet")
nodes = st.integers(0, 1)
names = st.sets(st.sampled_from(NAMES))


@dataclass
class Known:
    """What auth is to know of a node."""

    seq: int
    heard_at: datetime
    devices: set[str] = field(default_factory=set)


class Updates(RuleBasedStateMachine):
    """Two nodes on which the devices of one user come and go."""

    def __init__(self, auth: Auth, loop: LoopThread, ada: Account, gateway: Any) -> None:
        super().__init__()
        self.auth = auth
        self.loop = loop
        self.ada = ada
        self.now = datetime.now(UTC)
        loop.do(auth.rows("DELETE FROM auth.gateway_nodes"))
        auth.app.state.work.now = lambda: self.now
        self.lease = timedelta(seconds=auth.settings.device_lease_seconds)
        self.nodes = [Node(gateway), Node(gateway)]
        self.devices = {name: self.register(name) for name in NAMES}
        self.known: dict[str, Known] = {}
        self.made: list[tuple[Node, dict[str, Any]]] = []
        """Every update that was made, sent or not."""

    def register(self, name: str) -> str:
        body = {"user_id": self.ada.id, "client_id": name}
        answer = self.loop.do(self.nodes[0].http.post("/internal/devices/connect", json=body))
        return str(answer.json()["id"])

    def make(self, number: int, connected: set[str], disconnected: set[str]) -> None:
        node = self.nodes[number]
        node.seq += 1
        ids = [[self.devices[name] for name in some] for some in (connected, disconnected)]
        self.made.append((node, node.next(*ids)))

    def arrive(self, node: Node, update: dict[str, Any]) -> bool:
        """Have an update arrive, and see that auth says what the model does."""
        answer = self.loop.do(node.send(update)).json()
        before = self.known.get(node.id, Known(0, self.now))
        accepted = bool(before.seq < update["seq"] and update["after"] <= before.seq)
        if accepted:
            kept = before.devices - set(update["disconnected"]) if update["after"] else set()
            come = set(update["connected"]) & set(self.devices.values())
            self.known[node.id] = Known(update["seq"], self.now, kept | come)
        seq = update["seq"] if accepted else before.seq
        assert (answer["accepted"], answer["seq"]) == (accepted, seq)
        return accepted

    # --- what nodes and the network do ---------------------------------------------------------

    @rule(number=nodes, connected=names, disconnected=names, answered=st.booleans())
    def update(
        self, number: int, connected: set[str], disconnected: set[str], answered: bool
    ) -> None:
        self.make(number, connected, disconnected - connected)
        node, update = self.made[-1]
        accepted = self.arrive(node, update)
        if answered:
            node.accepted_seq = update["seq"] if accepted else 0
            node.seq = max(node.seq, self.known[node.id].seq if node.id in self.known else 0)

    @rule(number=nodes, connected=names, disconnected=names)
    def lose(self, number: int, connected: set[str], disconnected: set[str]) -> None:
        self.make(number, connected, disconnected - connected)

    @precondition(lambda self: self.made)
    @rule(data=st.data())
    def arrive_late_or_again(self, data: st.DataObject) -> None:
        self.arrive(*data.draw(st.sampled_from(self.made)))

    @rule(number=nodes, connected=names)
    def heal(self, number: int, connected: set[str]) -> None:
        """Whatever was: a snapshot, and one more where that one's number was too low."""
        node = self.nodes[number]
        ids = [self.devices[name] for name in connected]
        assert self.loop.do(node.snapshot(ids)) or self.loop.do(node.snapshot(ids))
        self.known[node.id] = Known(node.seq, self.now, set(ids))

    @rule(number=nodes)
    def restart_under_the_same_name(self, number: int) -> None:
        before = self.nodes[number]
        self.nodes[number] = Node(before.http, before.id)

    # --- what else happens ---------------------------------------------------------------------

    @rule(leases=st.sampled_from([0.3, 0.9, 1.5]))
    def time_passes(self, leases: float) -> None:
        self.now += leases * self.lease

    @rule()
    def sweep(self) -> None:
        self.loop.do(give_up_nodes(self.auth.app.state.work, self.auth.settings))
        limit = self.now - 2 * self.lease
        self.known = {key: each for key, each in self.known.items() if each.heard_at >= limit}

    @rule(name=st.sampled_from(NAMES))
    def delete_and_make_again(self, name: str) -> None:
        device_id = self.devices[name]
        removed = self.loop.do(self.ada.http.delete(f"/v1/devices/{device_id}"))
        assert removed.status_code == 204
        for each in self.known.values():
            each.devices.discard(device_id)
        self.devices[name] = self.register(name)

    @invariant()
    def those_of_living_nodes_are_online(self) -> None:
        living = [n for n in self.known.values() if self.now - n.heard_at < self.lease]
        expected = {device_id for each in living for device_id in each.devices}
        assert self.loop.do(online(self.ada)) == expected


@pytest.mark.timeout(600 + 10 * asked_examples())
async def test_auth_believes_of_nodes_what_the_model_does(
    auth: Auth, ada: Account, gateway: Any
) -> None:
    loop = LoopThread()
    bounds = model_settings(15, stateful_step_count=30)

    class Story(Updates):
        def __init__(self) -> None:
            super().__init__(auth, loop, ada, gateway)

    await loop.aside(lambda: run_state_machine_as_test(Story, settings=bounds))
