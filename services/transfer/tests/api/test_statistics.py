"""What came of it all: totals, by day, by peer, with speeds."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest

from services.transfer.tests.support.world import MIB, Json, Person, World
from sharezync_shared.events.contracts import UserDeleted

NOTHING: Final[Json] = {
    "ended": 0, "completed": 0, "files": 0, "bytes": 0, "success_rate": None,
    "mean_bytes_per_second": None, "best_bytes_per_second": None,
}  # fmt: skip


async def stats(person: Person, **query: Any) -> Json:
    return await person.get("/v1/transfers/stats", **query)


async def sends(world: World, ada: Person, bob: Person, size: int, seconds: float | None) -> Json:
    """Have a file sent and received; where `seconds` is set its first half came so long before."""
    sent = await ada.offer(bob, files={"a": size})
    await bob.act(sent, "accept")
    half = sent["files"][0]["chunk_count"] // 2
    await world.report(bob, sent, received={"0": [[0, half - 1]]})
    if seconds is not None:
        await world.rows(
            "UPDATE transfer.recipients SET began_at = began_at - $2::interval "
            "WHERE transfer_id = $1",
            sent["id"],
            timedelta(seconds=seconds),
        )
    await world.receives(bob, sent)
    world.peers.store_everything()
    return await ada.act(sent, "complete")


async def test_statistics_add_up(world: World) -> None:
    ada, bob = await world.people(2)
    empty = await stats(ada)
    assert empty["sent"] == empty["received"] == {**NOTHING, "transfers": 0}
    assert (empty["days"], empty["peers"]) == ([], [])

    arrived = await ada.offer(bob, files={"a": MIB, "b": 1})
    await bob.act(arrived, "accept")
    await world.receives(bob, arrived)
    world.peers.store_everything()
    await ada.act(arrived, "complete")
    for act in ("reject", "cancel"):
        await bob.act(await ada.offer(bob), act)
    under_way = await ada.offer(bob)
    await bob.act(under_way, "accept")
    await world.report(bob, under_way, received={"0": [[0, 0]]})

    ended = {
        **NOTHING, "ended": 3, "completed": 1, "files": 2, "bytes": MIB + 1, "success_rate": 0.3333
    }  # fmt: skip
    total = {**ended, "bytes": 2 * MIB + 1, "transfers": 4}
    today = datetime.now(UTC).date().isoformat()
    of_ada, of_bob = await stats(ada), await stats(bob)
    assert (of_ada["sent"], of_ada["received"]) == (total, {**NOTHING, "transfers": 0})
    assert (of_bob["received"], of_bob["sent"]) == (total, {**NOTHING, "transfers": 0})
    assert of_ada["days"] == [{"day": today, "sent": ended, "received": NOTHING}]
    assert of_bob["days"] == [{"day": today, "sent": NOTHING, "received": ended}]
    assert of_ada["peers"] == [{"user_id": bob.id, "sent": ended, "received": NOTHING}]
    assert of_bob["peers"] == [{"user_id": ada.id, "sent": NOTHING, "received": ended}]


async def test_each_recipient_counts_for_themselves(world: World) -> None:
    ada, bob, eve = await world.people(3)
    sent = await ada.offer(bob, eve)
    await bob.act(sent, "reject")
    assert (await stats(ada))["sent"]["transfers"] == 2
    assert (await stats(ada))["sent"]["ended"] == 1
    await ada.act(sent, "cancel")
    assert (await stats(ada))["sent"]["ended"] == 2
    peers = {each["user_id"]: each["sent"]["ended"] for each in (await stats(ada))["peers"]}
    assert peers == {bob.id: 1, eve.id: 1}


async def test_speed_is_what_came_after_the_first_confirmation(world: World) -> None:
    ada, bob = await world.people(2)
    await sends(world, ada, bob, 8 * MIB, seconds=4)
    await sends(world, ada, bob, 4 * MIB, seconds=1)
    for of, side in ((ada, "sent"), (bob, "received")):
        found = (await stats(of))[side]
        # A little longer than was set: the reports themselves took their time.
        assert found["mean_bytes_per_second"] == pytest.approx(6 * MIB / 5, rel=0.5)
        assert found["mean_bytes_per_second"] <= 6 * MIB / 5
        assert found["best_bytes_per_second"] == pytest.approx(2 * MIB, rel=0.5)
        assert found["best_bytes_per_second"] <= 2 * MIB


async def test_what_came_at_once_has_no_speed(world: World) -> None:
    ada, bob = await world.people(2)
    sent = await ada.offer(bob)
    await bob.act(sent, "accept")
    await world.receives(bob, sent)
    world.peers.store_everything()
    await ada.act(sent, "complete")
    found = (await stats(ada))["sent"]
    assert (found["bytes"], found["mean_bytes_per_second"]) == (3 * MIB, None)


async def test_what_one_sends_to_oneself_counts_on_both_sides(world: World) -> None:
    laptop = await world.on_device(await world.person())
    phone = await world.on_device(laptop)
    await phone.act(await laptop.offer(phone), "reject")
    found = await stats(laptop)
    assert (found["sent"]["ended"], found["received"]["ended"]) == (1, 1)
    (peer,) = found["peers"]
    assert (peer["user_id"], peer["sent"]["ended"], peer["received"]["ended"]) == (laptop.id, 1, 1)


async def test_days_go_back_as_far_as_asked(world: World) -> None:
    ada, bob = await world.people(2)
    for days_ago in (40, 2, 0):
        await bob.act(await ada.offer(bob), "reject")
        await world.rows(
            "UPDATE transfer.sums_by_day SET day = day - $2::int "
            "WHERE user_id = $1 AND day = (now() AT TIME ZONE 'UTC')::date",
            ada.uuid,
            days_ago,
        )
    assert [len((await stats(ada, days=days))["days"]) for days in (1, 3, 30, 41)] == [1, 2, 2, 3]
    days = [each["day"] for each in (await stats(ada, days=366))["days"]]
    assert days == sorted(days, reverse=True)
    assert (await stats(ada, days=1))["sent"]["ended"] == 3  # of all time, all the same
    for wrong in (0, 367, "x"):
        assert (await ada.get("/v1/transfers/stats", 422, days=wrong))["code"] == "invalid"


async def test_the_sums_of_who_is_gone_are_erased_and_those_of_others_stay(world: World) -> None:
    ada, bob = await world.people(2)
    await sends(world, ada, bob, 2 * MIB, seconds=None)
    await bob.act(await ada.offer(bob), "accept")
    await world.publish(UserDeleted(user_id=ada.uuid))
    for table in ("sums_by_day", "sums_by_peer"):
        where = f"SELECT FROM transfer.{table} WHERE user_id = $1"
        assert not await world.rows(where, ada.uuid)
    received = (await stats(bob))["received"]
    assert (received["ended"], received["completed"], received["bytes"]) == (2, 1, 2 * MIB)
