"""Transfers of many files: however many there are, as many statements and calls as for a few."""

from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest

from services.transfer.tests.support.world import Json, Person, World
from sharezync_testkit.statements import statements_of
from sharezync_transfer.usecases import sweeping

FEW, MANY = 2, 200

Act = Callable[[World, Person, Person, Json], Awaitable[object]]


async def _offer(_world: World, ada: Person, bob: Person, offered: Json) -> None:
    # With other names and the same number: the first was offered to prepare this one.
    names = {f"again/{file['index']}": 1 for file in offered["files"]}
    await ada.offer(bob, files=names)


async def _offer_to_who_takes_it(world: World, ada: Person, bob: Person, offered: Json) -> None:
    world.befriend(ada, bob)
    phone = await world.on_device(bob)
    await phone.call(
        "PUT", f"/v1/transfers/policies/{phone.device_id}", 200, json={"policy": "accept_known"}
    )
    names = {f"again/{file['index']}": 1 for file in offered["files"]}
    again = await ada.offer(bob, files=names)
    assert again["state"] == "accepted"


async def _accept(_world: World, _ada: Person, bob: Person, offered: Json) -> None:
    await bob.act(offered, "accept")


async def _reject(_world: World, _ada: Person, bob: Person, offered: Json) -> None:
    await bob.act(offered, "reject")


async def _attach(world: World, ada: Person, _bob: Person, offered: Json) -> None:
    await world.attach(ada, offered)


async def _receive(world: World, _ada: Person, bob: Person, offered: Json) -> None:
    await bob.act(offered, "accept")
    # Both ends last heard of it long ago: so they hear of it now, and not a moment later.
    await world.rows(
        "UPDATE transfer.transfers SET progress_at = now() - interval '1 h' WHERE id = $1",
        offered["id"],
    )
    await world.receives(bob, offered)


async def _resume(_world: World, _ada: Person, bob: Person, offered: Json) -> None:
    await bob.act(offered, "accept")
    have = {str(file["index"]): [[0, 0]] for file in offered["files"]}
    await bob.act(offered, "resume", {"have": have})


async def _look_what_is_missing(_world: World, ada: Person, bob: Person, offered: Json) -> None:
    for person in (ada, bob):
        await person.get(f"/v1/transfers/{offered['id']}/missing")


async def _complete_too_early(_world: World, ada: Person, _bob: Person, offered: Json) -> None:
    assert await ada.refused(f"/v1/transfers/{offered['id']}/complete", status=409) == (
        "upload-incomplete"
    )


async def _complete(world: World, ada: Person, bob: Person, offered: Json) -> None:
    await bob.act(offered, "accept")
    world.peers.store_everything()
    await ada.act(offered, "complete")


async def _cancel(_world: World, ada: Person, _bob: Person, offered: Json) -> None:
    await ada.act(offered, "cancel")


async def _expire(world: World, _ada: Person, _bob: Person, offered: Json) -> None:
    await world.rows(
        "UPDATE transfer.transfers SET expires_at = now() - interval '1 s' WHERE id = $1",
        offered["id"],
    )
    await sweeping.expire_some(world.core.work)


async def _release(world: World, ada: Person, _bob: Person, offered: Json) -> None:
    await ada.act(offered, "cancel")
    peers = world.app.state.context.services
    assert await sweeping.release_some(world.core.work, peers, timedelta(days=1)) == 1
    assert world.peers.uploads == {}


ACTS: list[Act] = [
    _offer,
    _offer_to_who_takes_it,
    _accept,
    _reject,
    _attach,
    _receive,
    _resume,
    _look_what_is_missing,
    _complete_too_early,
    _complete,
    _cancel,
    _expire,
    _release,
]


@pytest.mark.parametrize("act", ACTS, ids=[act.__name__.strip("_") for act in ACTS])
async def test_many_files_take_no_more_statements_and_calls_than_few(
    world: World, act: Act
) -> None:
    async def cost(count: int) -> tuple[int, list[str]]:
        await sweep_away_the_past(world)
        ada, bob = await world.people(2)
        offered = await ada.offer(bob, files={f"folder/{index}": 1 for index in range(count)})
        world.peers.asked.clear()
        with statements_of(world.core.database.engine) as statements:
            await act(world, ada, bob, offered)
        # The relay clears the outbox a while after a commit, within the block or not: in a
        # transaction of three statements.
        cleared = sum(each.startswith("DELETE FROM transfer.outbox") for each in statements)
        return len(statements) - 3 * cleared, list(world.peers.asked)

    await cost(1)  # whatever is asked once is known by now
    assert await cost(MANY) == await cost(FEW)


async def sweep_away_the_past(world: World) -> None:
    """Leave nothing to expire or to release of what was offered before."""
    await world.rows("UPDATE transfer.transfers SET released_at = now() WHERE released_at IS NULL")
    await world.rows("UPDATE transfer.transfers SET ended_at = now() WHERE ended_at IS NULL")
    world.peers.uploads.clear()


async def test_what_all_see_of_many_files_is_the_same_for_each(world: World) -> None:
    ada, bob, eve = await world.people(3)
    offered = await ada.offer(bob, eve, files={f"folder/{index}": index for index in range(MANY)})
    assert [file["index"] for file in offered["files"]] == list(range(MANY))
    assert [file["size_bytes"] for file in offered["files"]] == list(range(MANY))
    for person in (bob, eve):
        (incoming,) = await world.events(person)
        assert incoming["data"] == await person.sees(offered)
        assert incoming["data"]["files"] == offered["files"]
