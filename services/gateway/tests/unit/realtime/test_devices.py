"""What auth is told of a node's devices, update by update."""

import asyncio
from uuid import uuid4

import pytest

from services.gateway.tests.unit.realtime.devices_rig import NODE, Rig, devices, moments
from sharezync_gateway.realtime import devices as module
from sharezync_shared.calls.client import ServiceUnavailable
from sharezync_testkit.waiting import wait_until


@pytest.fixture
def rig() -> Rig:
    return Rig()


async def test_each_change_is_told_once_and_a_heartbeat_without_any_says_nothing(rig: Rig) -> None:
    await rig.beat()
    await rig.come("phone", "laptop")
    await rig.beat(2)
    rig.goes("phone")
    await rig.beat(2)
    assert rig.told == [
        (0, set(), set()),
        (1, devices("phone", "laptop"), set()),
        (2, set(), set()),
        (3, set(), set()),
        (4, set(), devices("phone")),
        (5, set(), set()),
    ]
    assert [each.seq for each in rig.auth.updates] == [1, 2, 3, 4, 5, 6]
    assert rig.believed == devices("laptop")
    rig.auth.lease_seconds = 60
    assert await rig.devices.send_heartbeat() == 15


async def test_a_node_that_is_forgotten_tells_all_at_once(rig: Rig) -> None:
    await rig.come("phone", "laptop")
    rig.goes("phone")
    rig.auth.forget_nodes()
    await rig.beat()
    assert rig.believed == devices("laptop")
    assert rig.metrics.get_sample_value("sharezync_gateway_device_lists_total") == 1
    assert rig.said == [True]


async def test_what_is_too_much_for_one_update_goes_with_the_next(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_CHANGES", 2)
    await rig.come("a", "b", "c", "d", "e")
    await rig.beat(2)
    rig.auth.forget_nodes()
    rig.auth.asked.clear()
    await rig.beat(3)
    assert [len(each.connected) for each in rig.auth.updates] == [0, 2, 2, 1]
    assert rig.believed == devices("a", "b", "c", "d", "e")


@pytest.mark.parametrize("fate", ["lost", "unanswered"])
async def test_an_update_that_was_not_answered_goes_with_the_next_one(rig: Rig, fate: str) -> None:
    await rig.come("phone", "laptop", "tablet")
    getattr(rig.auth, fate).add("update_node")
    rig.goes("phone")
    rig.goes("tablet")
    with pytest.raises(ServiceUnavailable):
        await rig.beat()
    getattr(rig.auth, fate).clear()
    rig.comes("tablet")
    await moments()
    await rig.beat()
    assert rig.told[-2:] == [
        (1, set(), devices("phone", "tablet")),
        (1, devices("tablet"), devices("phone")),
    ]
    assert rig.believed == devices("laptop", "tablet")


async def test_what_changes_while_an_update_is_on_its_way_goes_with_the_next(rig: Rig) -> None:
    await rig.come("laptop", "phone")
    rig.goes("phone")
    arrives = rig.auth.gate["update_node"] = asyncio.Event()
    updating = asyncio.create_task(rig.beat())
    await wait_until(lambda: rig.believed == devices("laptop"))
    rig.goes("laptop")
    rig.comes("phone")
    rig.comes("tablet")
    await moments()
    arrives.set()
    await updating
    assert rig.believed == devices("laptop")
    await rig.beat()
    assert rig.believed == devices("phone", "tablet")
    assert rig.said == [True]


async def test_an_update_that_arrives_late_changes_nothing(rig: Rig) -> None:
    await rig.come("laptop", "phone")
    rig.auth.lost.add("update_node")
    rig.goes("phone")
    with pytest.raises(ServiceUnavailable):
        await rig.beat()
    rig.auth.lost.clear()
    late = rig.auth.updates[-1]
    await rig.come("phone")
    assert not rig.auth.accept(NODE, late).accepted
    assert rig.believed == devices("laptop", "phone")


async def test_a_process_under_the_name_of_another_has_its_own_devices_only(rig: Rig) -> None:
    await rig.come("phone", "laptop")
    again = Rig(rig.auth)
    await again.come("laptop", "tablet")
    assert rig.believed == devices("laptop", "tablet")


async def test_sockets_of_one_device_are_one_until_the_last_has_gone(rig: Rig) -> None:
    sockets = [rig.comes("phone", session) for session in ("s", "t")]
    await rig.come("laptop")
    assert rig.auth.sessions.keys() == {"s", "t"}
    assert {socket.device for socket in sockets} == devices("phone")
    sockets[0].end()
    await rig.beat()
    assert rig.believed == devices("phone", "laptop")
    sockets[1].end()
    await rig.beat()
    assert rig.believed == devices("laptop")


async def test_a_socket_is_ready_when_its_device_is_online(rig: Rig) -> None:
    rig.comes("phone")
    await moments()
    assert rig.connecting
    await rig.beat()
    assert not rig.connecting
    # Or when it can't be: the socket is worth more.
    rig.auth.lost.add("update_node")
    laptop = rig.comes("laptop")
    await moments()
    with pytest.raises(ServiceUnavailable):
        await rig.beat()
    await moments()
    assert not rig.connecting
    assert {laptop.device} == devices("laptop")


async def test_a_socket_that_went_while_its_device_was_registered_leaves_nothing(rig: Rig) -> None:
    answers = rig.auth.gate["connect_device"] = asyncio.Event()
    rig.comes("phone")
    await moments()
    rig.goes("phone")
    answers.set()
    await rig.beat(2)
    assert rig.auth.names.keys() == devices("phone")
    assert rig.believed == set()
    assert not rig.connecting
    assert not rig.devices._failures


async def test_a_device_that_was_deleted_and_made_again_is_the_new_one(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    await rig.come("phone")
    new = str(uuid4())

    async def another(*_: str) -> str:
        return new

    monkeypatch.setattr(rig.auth, "connect_device", another)
    rig.devices.register_soon(rig.sockets["phone"])  # type: ignore[arg-type]
    await moments()
    await rig.beat()
    assert rig.believed == {new}
    assert rig.sockets["phone"].device == new
    assert rig.said == [True]


async def test_a_device_that_could_not_be_told_of_is_told_when_auth_answers(rig: Rig) -> None:
    rig.auth.away.add("auth")
    rig.comes("phone")
    await moments()
    with pytest.raises(ServiceUnavailable):
        await rig.beat()
    assert rig.auth.calls("connect_device") == ["connect_device"]
    rig.auth.away.clear()
    await rig.beat(2)
    assert {rig.sockets["phone"].device} == rig.believed == devices("phone")


async def test_a_device_that_auth_refuses_is_tried_less_and_less_often(rig: Rig) -> None:
    rig.auth.lost.add("connect_device")
    rig.comes("phone")
    await moments()
    tried = []
    for beat in range(1, 65):
        before = len(rig.auth.calls("connect_device"))
        await rig.beat()
        if len(rig.auth.calls("connect_device")) > before:
            tried.append(beat)
    assert tried == [1, 2, 4, 8, 16, 32, 64]
    rig.goes("phone")
    await rig.beat(64)
    assert len(rig.auth.calls("connect_device")) == 1 + len(tried)


async def test_many_changes_do_not_make_a_refused_device_be_tried_more_often(rig: Rig) -> None:
    rig.auth.lost.add("connect_device")
    rig.comes("phone")
    await moments()
    rig.auth.lease_seconds = 60.0
    await rig.beat(30)
    assert len(rig.auth.calls("connect_device")) == 2
