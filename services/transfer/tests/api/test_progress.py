"""What gateways report, and what both ends hear of it."""

import asyncio

import pytest

from services.transfer.tests.support.world import MIB, Json, Person, World, own_part
from sharezync_testkit.waiting import wait_until


async def accepted(world: World, files: dict[str, int]) -> tuple[Person, Person, Json]:
    ada, bob = await world.people(2)
    offered = await ada.offer(bob, files=files)
    await bob.act(offered, "accept")
    return ada, bob, offered


async def test_both_ends_hear_how_far_it_is(world: World) -> None:
    ada, bob, offered = await accepted(world, {"a": 4 * MIB})
    await world.report(ada, offered, stored={"0": 3 * MIB})
    await world.report(bob, offered, received={"0": [[0, 1]]})

    def last(person: Person) -> Json:
        signals = world.signals(person)
        return dict(signals[-1]) if signals else {"data": {"received_bytes": None}}

    await wait_until(lambda: last(bob)["data"]["received_bytes"] == 2 * MIB)
    await wait_until(lambda: last(ada)["data"]["received_bytes"] == 2 * MIB)
    assert last(ada)["type"] == last(bob)["type"] == "progress_update"
    for person in (ada, bob):
        said = last(person)["data"]
        assert said["transfer_id"] == offered["id"]
        assert said["size_bytes"] == said["accepted_bytes"] == 4 * MIB
        assert said["stored_bytes"] == 3 * MIB
        assert {"rate", "seconds_left"} <= said.keys()
    assert last(ada)["data"]["recipients"] == [
        {"user_id": bob.id, "state": "receiving", "received_bytes": 2 * MIB}
    ]
    assert "recipients" not in last(bob)["data"]


async def test_ten_times_a_second_at_most_and_the_last_word_is_said(world: World) -> None:
    ada, bob, offered = await accepted(world, {"a": 50 * MIB})
    began = asyncio.get_running_loop().time()
    for stored in range(1, 51):
        await world.report(ada, offered, stored={"0": stored * MIB})

    def said() -> list[int]:
        return [signal["data"]["stored_bytes"] for signal in world.signals(bob)]

    await wait_until(lambda: said() and said()[-1] == 50 * MIB)
    elapsed = asyncio.get_running_loop().time() - began
    assert len(said()) <= elapsed * 10 + 1
    assert said() == sorted(said())


async def test_reports_may_be_repeated_and_come_in_any_order(world: World) -> None:
    ada, bob, offered = await accepted(world, {"a": 4 * MIB - 5, "b": MIB})
    for ranges in ([[3, 3]], [[0, 1]], [[3, 3]], [[1, 2]]):
        await world.report(bob, offered, received={"0": ranges})
    for stored in (2 * MIB, MIB, 99 * MIB):
        await world.report(ada, offered, stored={"0": stored})
    seen = await ada.sees(offered)
    assert own_part(bob, seen)["received_bytes"] == 4 * MIB - 5
    assert [file["stored_bytes"] for file in seen["files"]] == [4 * MIB - 5, 0]
    assert (await world.attach(bob, offered))["received"] == {"0": [[0, 3]], "1": []}


async def test_the_first_chunk_makes_it_receiving_and_is_told_once(world: World) -> None:
    _, bob, offered = await accepted(world, {"a": 4 * MIB})
    for index in range(3):
        standing = await world.report(bob, offered, received={"0": [[index, index]]})
        assert standing == {"state": "receiving", "recipient_state": "receiving"}
    assert await world.told(bob) == ["incoming_transfer", "transfer_updated", "transfer_updated"]


async def test_what_was_under_way_at_a_pause_counts(world: World) -> None:
    _, bob, offered = await accepted(world, {"a": 4 * MIB})
    await bob.act(offered, "pause")
    standing = await world.report(bob, offered, received={"0": [[0, 0]]})
    assert standing["recipient_state"] == "paused"
    assert own_part(bob, await bob.sees(offered))["received_bytes"] == MIB


async def test_before_acceptance_and_after_the_end_nothing_counts(world: World) -> None:
    ada, bob = await world.people(2)
    offered = await ada.offer(bob)
    everything = {"0": [[0, 2]]}
    standing = await world.report(bob, offered, received=everything)
    assert standing["recipient_state"] == "offered"
    await bob.act(offered, "accept")
    await bob.act(offered, "cancel")
    standing = await world.report(bob, offered, received=everything)
    assert standing["recipient_state"] == "cancelled"
    assert own_part(bob, await bob.sees(offered))["received_bytes"] == 0


async def test_a_record_full_of_gaps_stays_small(world: World) -> None:
    ada, bob = await world.people(2)
    offered = await ada.offer(bob, files={"a": 5000 * 65536}, chunk_size=65536)
    await bob.act(offered, "accept")
    gaps = [[index, index] for index in range(0, 5000, 2)]
    await world.report(bob, offered, received={"0": gaps})
    kept = (await world.attach(bob, offered))["received"]["0"]
    assert len(kept) == 1000
    assert kept[-1] == [1998, 1998]


async def test_each_end_reports_for_itself(world: World) -> None:
    ada, bob, offered = await accepted(world, {"a": MIB})
    assert (await world.report(ada, offered, 403, received={"0": [[0, 0]]}))["code"] == "forbidden"
    assert (await world.report(bob, offered, 403, stored={"0": 5}))["code"] == "forbidden"
    stranger = await world.person()
    assert (await world.report(stranger, offered, 404))["code"] == "not-found"


@pytest.mark.parametrize(
    "report", [{"stored": {"0": -1}}, {"stored": {"x": 1}}, {"received": {"0": [[1, 0]]}}]
)
async def test_what_is_no_report_is_refused(world: World, report: Json) -> None:
    ada, _, offered = await accepted(world, {"a": MIB})
    assert (await world.report(ada, offered, 422, **report))["code"] == "invalid"


async def test_two_ends_that_report_at_once_do_not_disturb_each_other(world: World) -> None:
    ada, bob, offered = await accepted(world, {"a": 20 * MIB})
    await asyncio.gather(
        *(world.report(ada, offered, stored={"0": n * MIB}) for n in range(1, 21)),
        *(world.report(bob, offered, received={"0": [[n, n]]}) for n in range(20)),
    )
    seen = await ada.sees(offered)
    assert own_part(bob, seen)["received_bytes"] == 20 * MIB
    assert seen["files"][0]["stored_bytes"] == 20 * MIB
