"""What time does: offers expire, and what is over is cleared away."""

import asyncio
from datetime import timedelta

from services.transfer.tests.support.world import Json, World, about
from sharezync_shared.events.contracts import TransferEnded
from sharezync_testkit.waiting import wait_until
from sharezync_transfer.usecases.sweeping import expire_some, release_some

DAY = timedelta(days=1)


async def age(world: World, transfer: Json) -> None:
    """Let an offer's time be over."""
    await world.rows(
        "UPDATE transfer.transfers SET expires_at = now() - interval '1 s' WHERE id = $1",
        transfer["id"],
    )


async def expire(world: World) -> None:
    while await expire_some(world.core.work):
        pass


async def release(world: World, keep_completed: timedelta = DAY) -> None:
    """Release until nothing more comes of it: other tests leave things behind, too."""
    while await release_some(world.core.work, world.app.state.context.services, keep_completed):
        pass


async def released(world: World, transfer: Json) -> bool:
    (row,) = await world.rows(
        "SELECT released_at FROM transfer.transfers WHERE id = $1", transfer["id"]
    )
    return row["released_at"] is not None


async def test_an_offer_that_nobody_took_expires_and_all_hear_of_it(world: World) -> None:
    heard = await world.hear(TransferEnded.type)
    ada, bob, eve = await world.people(3)
    offered = await ada.offer(bob, eve)
    await eve.act(offered, "reject")
    await age(world, offered)
    await expire(world)
    assert (await ada.sees(offered))["state"] == "expired"
    assert (await bob.sees(offered))["state"] == "expired"
    assert (await eve.sees(offered))["state"] == "rejected"
    assert (await world.events(bob))[-1]["data"]["state"] == "expired"
    assert await world.told(eve) == ["incoming_transfer", "transfer_updated"]
    await wait_until(lambda: about(heard, offered))
    assert TransferEnded.decode(about(heard, offered)[-1]).outcome == "expired"


async def test_what_still_has_time_stays(world: World) -> None:
    ada, bob = await world.people(2)
    offered = await ada.offer(bob, expires_in_s=60)
    await expire(world)
    assert (await ada.sees(offered))["state"] == "offered"


async def test_replicas_that_sweep_at_once_tell_once(world: World) -> None:
    ada, bob = await world.people(2)
    offers = [await ada.offer(bob) for _ in range(4)]
    for offered in offers:
        await age(world, offered)
    await asyncio.gather(*(expire(world) for _ in range(4)))
    states = [event["data"]["state"] for event in await world.events(bob)]
    assert states.count("expired") == 4


async def test_chunks_of_what_is_over_are_given_up(world: World) -> None:
    ada, bob = await world.people(2)
    offered = await ada.offer(bob, files={"a": 1, "b": 2})
    await bob.act(offered, "reject")
    await release(world)
    assert world.peers.uploads == {}
    assert await released(world, offered)


async def test_chunks_of_what_is_completed_stay_for_a_while(world: World) -> None:
    ada, bob = await world.people(2)
    offered = await ada.offer(bob, files={"empty": 0})
    await bob.act(offered, "accept")
    await ada.act(offered, "complete")
    await release(world)
    assert not await released(world, offered)
    await release(world, timedelta(0))
    assert await released(world, offered)


async def test_what_storage_does_not_hear_now_it_hears_later(world: World) -> None:
    ada, bob = await world.people(2)
    offered = await ada.offer(bob)
    await bob.act(offered, "cancel")
    world.peers.away.add("storage")
    await release(world)
    assert not await released(world, offered)
    world.peers.away.clear()
    await release(world)
    assert await released(world, offered)


async def test_chunks_of_what_is_under_way_stay(world: World) -> None:
    ada, bob = await world.people(2)
    offered = await ada.offer(bob)
    await bob.act(offered, "accept")
    await release(world, timedelta(0))
    assert len(world.peers.uploads) == 1
    assert not await released(world, offered)
