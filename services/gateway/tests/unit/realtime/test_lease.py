"""What auth believes of a node's devices, heartbeat by heartbeat."""

import asyncio
import hashlib

import pytest

from services.gateway.tests.unit.realtime.lease_rig import NODE, Rig
from sharezync_gateway.realtime import lease as lease_module
from sharezync_gateway.realtime.peers import digest_of
from sharezync_shared.calls.client import ServiceUnavailable
from sharezync_testkit.waiting import wait_until


@pytest.fixture
def rig() -> Rig:
    return Rig()


async def test_while_the_count_is_right_nothing_is_listed(rig: Rig) -> None:
    await rig.beat()
    await rig.come("phone", "laptop")
    await rig.beat(3)
    assert rig.lists == []
    assert await rig.lease.send_heartbeat() == rig.auth.lease_seconds / 4


async def test_a_count_is_believed_to_be_wrong_the_second_time(rig: Rig) -> None:
    await rig.come("phone")
    rig.auth.nodes[NODE].add("ghost")
    await rig.beat()
    rig.auth.nodes[NODE].discard("ghost")
    await rig.beat()
    rig.auth.nodes[NODE].add("ghost")
    await rig.beat()
    assert rig.lists == []
    await rig.beat()
    assert rig.lists == [(["device-phone"], None, None)]
    assert rig.believed == {"device-phone"}


async def test_a_node_that_is_forgotten_says_so_at_once(rig: Rig) -> None:
    await rig.come("phone", "laptop")
    rig.auth.nodes.clear()
    await rig.beat()
    assert rig.believed == {"device-phone", "device-laptop"}


async def test_a_long_list_goes_in_pages_that_cover_everything(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease_module, "MOST_LISTED", 2)
    await rig.come("e", "a", "d", "b", "c")
    rig.auth.nodes[NODE] |= {"before all", "device-bb", "device-cc", "device-z"}
    await rig.beat(2)
    assert rig.lists == [
        (["device-a", "device-b"], None, "device-b"),
        (["device-c", "device-d"], "device-b", "device-d"),
        (["device-e"], "device-d", None),
    ]
    assert rig.believed == {f"device-{letter}" for letter in "abcde"}


async def test_a_list_that_just_fills_its_pages_has_no_empty_one(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease_module, "MOST_LISTED", 2)
    await rig.come("a", "b")
    rig.auth.nodes.clear()
    await rig.beat()
    assert rig.lists == [(["device-a", "device-b"], None, None)]


async def test_an_empty_list_is_one_page(rig: Rig) -> None:
    rig.auth.nodes[NODE] = {"ghost"}
    await rig.beat(2)
    assert rig.lists == [([], None, None)]
    assert rig.believed == set()


async def test_a_list_that_did_not_arrive_goes_with_the_next_heartbeat(rig: Rig) -> None:
    rig.auth.nodes[NODE] = {"ghost"}
    rig.auth.lost.add("list_devices")
    await rig.beat()
    with pytest.raises(ServiceUnavailable):
        await rig.beat()
    rig.auth.lost.clear()
    await rig.beat()
    assert rig.believed == set()


async def test_devices_that_come_and_go_during_heartbeats_surprise_nobody(rig: Rig) -> None:
    await rig.come("laptop", "phone")
    rig.auth.gate["disconnect_device"] = rig.auth.gate["connect_device"] = asyncio.Event()
    rig.goes("phone")
    rig.comes("tablet")
    await wait_until(lambda: rig.believed == {"device-laptop", "device-tablet"})
    await rig.beat(3)
    rig.auth.gate["connect_device"].set()
    await wait_until(lambda: not rig.devices._telling)
    await rig.beat(3)
    assert rig.lists == []
    assert rig.believed == {"device-laptop", "device-tablet"}


async def test_what_changes_while_the_list_is_on_its_way_is_told_again(rig: Rig) -> None:
    await rig.come("laptop", "tablet")
    rig.auth.nodes[NODE] |= {"ghost"}
    await rig.beat()
    arrives = rig.auth.first_gate["list_devices"] = asyncio.Event()
    listing = asyncio.create_task(rig.lease.send_heartbeat())
    await wait_until(lambda: rig.lists)
    rig.goes("laptop")
    await rig.come("phone")
    await wait_until(lambda: "device-laptop" not in rig.believed)
    arrives.set()  # and overwrites both
    await listing
    await wait_until(lambda: rig.believed == {"device-tablet", "device-phone"})
    await wait_until(lambda: not rig.devices._telling)
    await rig.beat(3)
    assert len(rig.lists) == 1


async def test_a_call_that_began_before_the_list_and_ended_after_it_is_made_again(
    rig: Rig,
) -> None:
    rig.auth.nodes[NODE] = {"ghost"}
    await rig.beat()
    answers = rig.auth.gate["connect_device"] = asyncio.Event()
    rig.comes("phone")
    await wait_until(lambda: "device-phone" in rig.believed)
    rig.auth.nodes[NODE].add("another ghost")
    await rig.beat()  # the list is without the phone
    assert rig.believed == set()
    answers.set()
    await wait_until(lambda: rig.believed == {"device-phone"})


async def test_a_leaving_that_began_before_the_list_and_ended_after_it_is_told_again(
    rig: Rig,
) -> None:
    await rig.come("laptop", "phone")
    rig.auth.nodes[NODE].add("ghost")
    await rig.beat()
    arrives = rig.auth.first_gate["list_devices"] = asyncio.Event()
    answers = rig.auth.gate["disconnect_device"] = asyncio.Event()
    listing = asyncio.create_task(rig.lease.send_heartbeat())
    await wait_until(lambda: rig.lists)
    rig.goes("phone")
    await wait_until(lambda: "device-phone" not in rig.believed)
    arrives.set()
    await listing
    assert "device-phone" in rig.believed
    answers.set()
    await wait_until(lambda: rig.believed == {"device-laptop"})


async def test_a_device_that_left_and_came_back_during_the_list_is_not_told_to_have_left(
    rig: Rig,
) -> None:
    await rig.come("laptop", "phone")
    rig.auth.nodes[NODE].add("ghost")
    await rig.beat()
    arrives = rig.auth.first_gate["list_devices"] = asyncio.Event()
    listing = asyncio.create_task(rig.lease.send_heartbeat())
    await wait_until(lambda: rig.lists)
    rig.goes("phone")
    await wait_until(lambda: not rig.devices._telling)
    await rig.come("phone")
    arrives.set()
    await listing
    await wait_until(lambda: not rig.devices._telling)
    assert rig.auth.calls("connect_device", "disconnect_device")[2:] == [
        "disconnect_device",
        "connect_device",
        "connect_device",
    ]
    assert rig.believed == {"device-laptop", "device-phone"}


async def test_a_device_stays_online_though_its_next_login_could_not_be_told(rig: Rig) -> None:
    await rig.come("phone")
    rig.auth.lost.add("connect_device")
    rig.comes("phone", "another login")
    rig.auth.nodes[NODE].add("ghost")
    for _ in range(3):
        await wait_until(lambda: not rig.devices._telling)
        await rig.beat()
    assert len(rig.lists) == 1
    assert rig.believed == {"device-phone"}


async def test_a_removed_device_whose_socket_lives_on_is_not_listed_for_ever(rig: Rig) -> None:
    await rig.come("laptop", "phone")
    rig.auth.removed.add("device-phone")
    rig.auth.nodes[NODE].discard("device-phone")
    await rig.beat(10)
    assert len(rig.lists) == 1
    rig.goes("phone")
    await wait_until(lambda: not rig.devices._telling)
    await rig.beat(10)
    assert len(rig.lists) == 2
    rig.auth.nodes[NODE].add("ghost")
    await rig.beat(2)
    assert rig.believed == {"device-laptop"}


async def test_a_device_that_could_not_be_told_of_is_told_when_auth_answers(rig: Rig) -> None:
    rig.auth.away.add("auth")
    await rig.come("phone")
    with pytest.raises(ServiceUnavailable):
        await rig.beat()
    assert rig.auth.calls("connect_device") == ["connect_device"]
    rig.auth.away.clear()
    await rig.beat()
    await wait_until(lambda: rig.sockets["phone"].device == "device-phone")
    assert rig.believed == {"device-phone"}


async def test_a_device_that_auth_refuses_is_tried_less_and_less_often(rig: Rig) -> None:
    rig.auth.lost.add("connect_device")
    await rig.come("phone")
    tried = []
    for beat in range(1, 65):
        before = len(rig.auth.calls("connect_device"))
        await rig.beat()
        await wait_until(lambda: not rig.devices._telling)
        if len(rig.auth.calls("connect_device")) > before:
            tried.append(beat)
    assert tried == [1, 2, 4, 8, 16, 32, 64]
    rig.goes("phone")
    await rig.beat(40)
    assert len(rig.auth.calls("connect_device")) == 1 + len(tried)


async def test_sockets_of_one_login_are_told_of_once(rig: Rig) -> None:
    answers = rig.auth.gate["connect_device"] = asyncio.Event()
    sockets = [rig.comes("phone", session) for session in ("s", "s", "t", "s")]
    answers.set()
    await wait_until(lambda: not rig.devices._telling)
    assert len(rig.auth.calls("connect_device")) == 2
    assert rig.auth.sessions == {"s": "device-phone", "t": "device-phone"}
    assert {socket.device for socket in sockets} == {"device-phone"}


def test_a_digest_is_reckoned_as_auth_reckons_it() -> None:
    ids = ["01936f0c-2b7e-7d33-8d7a-0c8e3a7c1f10", "01936f0c-5a01-7b1e-9c4f-6f1d2b8e4a77"]
    first, second = (int(hashlib.md5(each.encode()).hexdigest()[:15], 16) for each in ids)
    assert digest_of(ids) == digest_of(reversed(ids)) == first ^ second
    assert digest_of([]) == 0
