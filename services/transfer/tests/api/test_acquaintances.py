"""Who sent something to whom: auth asks before it shows somebody's devices."""

import httpx
import pytest

from services.transfer.tests.support.world import Person, World
from sharezync_shared.ids import uuid7
from sharezync_testkit.service import client_of_service
from sharezync_transfer.usecases import acquaintances


async def ask(world: World, **query: str) -> httpx.Response:
    async with client_of_service(world.app, world.issuer, "auth") as auth:
        return await auth.get("/internal/acquaintances", params=query)


async def acquainted(world: World, one: Person, other: Person) -> bool:
    answer = await ask(world, user_id=one.id, other_id=other.id)
    assert answer.status_code == 200, answer.text
    return bool(answer.json()["acquainted"])


async def test_an_offer_makes_nobody_acquainted_and_accepting_it_does(world: World) -> None:
    ada, bob = await world.people(2)
    transfer = await ada.offer(bob)
    assert not await acquainted(world, ada, bob)  # or a stranger would see bob's devices
    assert not await acquainted(world, bob, ada)
    await bob.act(transfer, "accept")
    assert await acquainted(world, ada, bob)
    assert not await acquainted(world, bob, ada)  # ada has accepted nothing
    await ada.act(await bob.offer(ada), "accept")
    assert await acquainted(world, bob, ada)
    assert await acquainted(world, ada, bob)


@pytest.mark.parametrize(
    ("acts", "yes"),
    [
        (["reject"], False),
        (["cancel"], False),
        (["accept", "pause"], True),
        (["accept", "cancel"], True),
    ],
)
async def test_what_became_of_it_does_not_matter_once_it_was_accepted(
    world: World, acts: list[str], yes: bool
) -> None:
    ada, bob = await world.people(2)
    transfer = await ada.offer(bob)
    for act in acts:
        await bob.act(transfer, act)
    assert await acquainted(world, ada, bob) == yes
    assert not await acquainted(world, bob, ada)


async def test_recipients_of_one_transfer_do_not_meet_in_it(world: World) -> None:
    ada, bob, eve = await world.people(3)
    transfer = await ada.offer(bob, eve)
    await bob.act(transfer, "accept")
    await eve.act(transfer, "accept", {})
    assert not await acquainted(world, bob, eve)
    assert await acquainted(world, ada, eve)


async def test_who_is_not_known_here_is_nobodys_acquaintance(world: World) -> None:
    ada = await world.person()
    nobody = str(uuid7())
    assert (await ask(world, user_id=nobody, other_id=ada.id)).json() == {"acquainted": False}
    assert (await ask(world, user_id=ada.id)).status_code == 422
    assert (await ask(world, user_id=ada.id, other_id="x")).status_code == 422


async def test_the_question_is_answered_from_indexes(world: World) -> None:
    """However many acquaintances there are: one look-up for each pair."""
    ada, bob = await world.people(2)
    await world.rows(
        "INSERT INTO transfer.acquaintances (one_id, other_id) "
        "SELECT gen_random_uuid(), gen_random_uuid() FROM generate_series(1, 5000)"
    )
    await world.rows("ANALYZE transfer.acquaintances")
    pool = await world.core.database.pool()
    for mode in ("force_custom_plan", "force_generic_plan"):
        async with pool.acquire() as connection, connection.transaction():
            await connection.execute(f"SET LOCAL plan_cache_mode = {mode}")
            explained = f"EXPLAIN {acquaintances.AMONG}"
            rows = await connection.fetch(explained, ada.id, [bob.id])
        plan = "\n".join(row[0] for row in rows)
        assert "Seq Scan" not in plan, plan
