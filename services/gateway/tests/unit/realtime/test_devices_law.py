"""Whatever happens to the calls about devices, auth believes what is true in the end."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from services.gateway.tests.api.realtime.registry import Registry
from services.gateway.tests.unit.realtime.lease_rig import Rig
from sharezync_shared.calls.client import ServiceUnavailable


class Fickle(Registry):
    """auth over a bad network: calls arrive late, or not at all, or their answers don't."""

    def __init__(self, fates: Sequence[str]) -> None:
        super().__init__()
        self._fates = list(fates)
        self.stragglers: set[asyncio.Task[Any]] = set()

    async def connect_device(
        self, node_id: str, user_id: str, session_id: str, client_id: str
    ) -> Any:
        call = super().connect_device
        return await self._suffer(lambda: call(node_id, user_id, session_id, client_id))

    async def disconnect_device(self, node_id: str, user_id: str, device_id: str) -> None:
        call = super().disconnect_device
        await self._suffer(lambda: call(node_id, user_id, device_id))

    async def list_devices(
        self, node_id: str, device_ids: Sequence[str], *, after: str | None, up_to: str | None
    ) -> Any:
        call = super().list_devices
        return await self._suffer(lambda: call(node_id, device_ids, after=after, up_to=up_to))

    async def _suffer(self, call: Callable[[], Any]) -> Any:
        fate = self._fates.pop() if self._fates else "well"
        if fate == "slow":
            await _moments(3)
        elif fate == "lost":
            await _moments(1)
            raise ServiceUnavailable("auth", "lost")
        elif fate == "straggles":
            self.stragglers.add(asyncio.ensure_future(_later(call)))
            raise ServiceUnavailable("auth", "given up by the caller")
        answer = await call()
        if fate == "slowly answered":
            await _moments(3)
        elif fate == "unanswered":
            raise ServiceUnavailable("auth", "not answered")
        return answer


async def _moments(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def _later(call: Callable[[], Any]) -> None:
    await _moments(7)
    await call()


FATES = st.sampled_from(
    ["well", "slow", "lost", "unanswered", "slowly answered", "straggles"],
)
ACTS = st.sampled_from(["a", "b", "c", "beat", "moment", "moments", "forgotten"])


@settings(max_examples=300, deadline=None)
@given(st.lists(ACTS, max_size=40), st.lists(FATES, max_size=40))
@example(  # auth held one too many and one too few: their number was right
    ["a", "c", "b", "moment", "forgotten", "a"], ["well", "slowly answered", "lost", "straggles"]
)
def test_in_the_end_auth_believes_what_is_true(acts: list[str], fates: list[str]) -> None:
    """Devices toggle, calls suffer every fate; once the network is well, some heartbeats do."""

    async def live() -> None:
        auth = Fickle(fates)
        rig = Rig(auth)
        for act in acts:
            if act == "beat":
                await asyncio.gather(rig.lease.send_heartbeat(), return_exceptions=True)
            elif act == "moment":
                await _moments(1)
            elif act == "moments":
                await _moments(10)
            elif act == "forgotten":
                auth.nodes.clear()
            elif act in rig.sockets:
                rig.goes(act)
            else:
                rig.comes(act)
        auth._fates.clear()
        await asyncio.gather(*auth.stragglers)
        for _ in range(40):
            await rig.lease.send_heartbeat()
            await _moments(10)
        assert rig.believed == {f"device-{client_id}" for client_id in rig.sockets}
        for client_id, socket in rig.sockets.items():
            assert socket.device == f"device-{client_id}"
        assert not rig.devices._telling
        assert len(rig.devices._devices) == len(rig.sockets)
        # Of the user it was said in turn that they came and went, and at last what is true.
        assert rig.said == [number % 2 == 0 for number in range(len(rig.said))]
        assert len(rig.said) % 2 == bool(rig.sockets)
        assert len(rig.devices._here) == bool(rig.sockets)

    asyncio.run(live())
