"""Whatever happens to calls about devices, a heartbeat later auth believes what is true."""

import asyncio
from collections.abc import Callable, Sequence
from copy import deepcopy
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from services.gateway.tests.api.realtime.registry import Registry
from services.gateway.tests.unit.realtime.devices_rig import Rig, devices, moments
from sharezync_shared.calls.client import ServiceUnavailable
from sharezync_shared.contracts.auth import NodeLease, NodeUpdate


class Fickle(Registry):
    """auth over a bad network: calls arrive late, twice or not at all, or their answers don't."""

    def __init__(self, fates: Sequence[str]) -> None:
        super().__init__()
        self._fates = list(fates)
        self.stragglers: set[asyncio.Task[Any]] = set()

    async def connect_device(self, user_id: str, session_id: str, client_id: str) -> Any:
        call = super().connect_device
        return await self._suffer(lambda: call(user_id, session_id, client_id))

    async def update_node(self, node_id: str, change: NodeUpdate) -> NodeLease:
        call = super().update_node
        lease: NodeLease = await self._suffer(lambda: call(node_id, change))
        return lease

    async def settle(self) -> None:
        """Be well from now on; return when all that was on its way has arrived."""
        self._fates.clear()
        while self.stragglers:
            await asyncio.gather(*self.stragglers)
        await moments(20)

    async def _suffer(self, call: Callable[[], Any]) -> Any:
        fate = self._fates.pop() if self._fates else "well"
        if fate == "slow":
            await moments(3)
        elif fate == "lost":
            await moments(1)
            raise ServiceUnavailable("auth", "lost")
        if fate in {"late", "twice"}:
            straggler = asyncio.ensure_future(_later(call))
            self.stragglers.add(straggler)
            straggler.add_done_callback(self.stragglers.discard)
        if fate == "late":
            raise ServiceUnavailable("auth", "given up by the caller")
        answer = await call()
        if fate == "slowly answered":
            await moments(3)
        elif fate == "unanswered":
            raise ServiceUnavailable("auth", "not answered")
        return answer


async def _later(call: Callable[[], Any]) -> None:
    await moments(7)
    await call()


FATES = st.sampled_from(
    ["well", "slow", "lost", "unanswered", "slowly answered", "late", "twice"],
)


class Story:
    """auth and two nodes, on which the three devices of one user come and go."""

    def __init__(self, fates: Sequence[str]) -> None:
        self.auth = Fickle(fates)
        self.rigs = {node_id: Rig(self.auth, node_id) for node_id in NODES}
        self.saved = deepcopy((self.auth.nodes, self.auth.seqs))

    async def heartbeat(self, node_id: str) -> None:
        beat = self.rigs[node_id].devices.send_heartbeat()
        await asyncio.gather(beat, return_exceptions=True)

    async def restart(self, node_id: str) -> None:
        """Die; what the old process has sent may still be on its way."""
        self.rigs[node_id] = Rig(self.auth, node_id)

    async def stop(self, node_id: str) -> None:
        self.rigs[node_id].devices.start()
        await self.rigs[node_id].devices.aclose()
        await self.restart(node_id)

    async def forget(self, _: str) -> None:
        self.auth.forget_nodes()

    async def save(self, _: str) -> None:
        self.saved = deepcopy((self.auth.nodes, self.auth.seqs))

    async def restore(self, _: str) -> None:
        """Go back to an older state of the database."""
        self.auth.nodes, self.auth.seqs = deepcopy(self.saved)

    async def moment(self, _: str) -> None:
        await moments(1)

    async def moments(self, _: str) -> None:
        await moments()

    async def act(self, what: str, node_id: str) -> None:
        rig = self.rigs[node_id]
        if what not in DEVICES:
            await getattr(self, what)(node_id)
        elif what in rig.sockets:
            rig.goes(what)
        else:
            rig.comes(what)

    async def check(self) -> None:
        """All that can be true after one heartbeat is, and the rest soon after."""
        await self.auth.settle()
        for rig in self.rigs.values():
            await rig.devices.send_heartbeat()
            registered = {socket.device for socket in rig.sockets.values()} - {None}
            assert rig.believed == registered
        for rig in self.rigs.values():  # who was refused is tried again within so many heartbeats
            await rig.beat(40)
            assert rig.believed == devices(*rig.sockets)
            assert len(rig.devices._failures) == len(rig.sockets)
            assert not rig.connecting
            assert not len(rig.devices._tasks)
            # Of the user it was said in turn that they came and went, and at last what is true.
            assert rig.said == [number % 2 == 0 for number in range(len(rig.said))]
            assert len(rig.said) % 2 == bool(rig.sockets)
        online = {name for (_, name), is_online in self.auth.online.items() if is_online}
        assert online == {name for rig in self.rigs.values() for name in rig.sockets}


NODES = ("m", "n")
DEVICES = ("a", "b", "c")
FATES = st.sampled_from(
    ["well", "slow", "lost", "unanswered", "slowly answered", "late", "twice"],
)
OTHERS = ["heartbeat", "restart", "stop", "forget", "save", "restore", "moment", "moments"]
ACTS = st.tuples(st.sampled_from([*DEVICES, *DEVICES, *OTHERS]), st.sampled_from(NODES))


@settings(max_examples=100)
@given(st.lists(ACTS, max_size=50), st.lists(FATES, max_size=50))
def test_a_heartbeat_later_auth_believes_what_is_true(
    acts: list[tuple[str, str]], fates: list[str]
) -> None:
    """Devices toggle, processes die and come back under their name, calls suffer every fate."""

    async def live() -> None:
        story = Story(fates)
        for act in acts:
            await story.act(*act)
        await story.check()

    asyncio.run(live())
