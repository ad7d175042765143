"""What must be known next comes with the answer: nobody is asked before the first chunk."""

import asyncio
import os

from services.gateway.tests.api.realtime.transfer.scene import (
    CHUNK,
    Replica,
    Scene,
    chunks_of,
    content_of,
    talking,
)
from services.gateway.tests.api.realtime.world import User
from sharezync_testkit.waiting import wait_until


async def test_from_an_offer_to_its_end_nobody_needs_to_be_asked(
    scene: Scene, replica: Replica, ada: User, bob: User
) -> None:
    scene.service.away = True
    content = os.urandom(3 * CHUNK)
    async with talking(replica, ada) as adas, talking(replica, bob) as bobs:
        started = await adas.command(
            "file_transfer_start",
            recipients=[{"user_id": bob.id}],
            files=[{"name": "a", "size": len(content)}],
        )
        (offer,) = scene.service.offers.values()
        assert started["data"]["id"] == str(offer.id)
        first, *others = chunks_of(offer, content)
        await adas.send(first)
        await adas.acked(1)
        await bobs.command("transfer_accept", transfer_id=str(offer.id))
        await bobs.until(lambda: bobs.chunks)
        scene.service.away = False  # what changed is asked about by now
        await adas.send(*others)
        await bobs.until(lambda: len(bobs.chunks) == 3)
    assert content_of(bobs.chunks) == content


async def test_what_is_stored_while_the_answer_is_on_its_way_comes_from_memory(
    scene: Scene, replica: Replica, ada: User, bob: User
) -> None:
    content = os.urandom(2 * CHUNK)
    offer = scene.service.offer(ada, bob, len(content))
    async with talking(replica, ada) as adas, talking(replica, bob) as bobs:
        scene.service.answers.clear()
        accepting = asyncio.create_task(
            bobs.command("transfer_accept", transfer_id=str(offer.id)),
        )
        await wait_until(lambda: scene.service.commands)
        await adas.send(*chunks_of(offer, content))
        await adas.acked(2)
        assert not bobs.chunks
        scene.service.answers.set()
        await accepting
        await bobs.until(lambda: len(bobs.chunks) == 2)
    assert content_of(bobs.chunks) == content
    assert scene.store.gets == 0


async def test_what_changes_while_the_answer_is_on_its_way_is_not_missed(
    scene: Scene, replica: Replica, ada: User, bob: User
) -> None:
    content = os.urandom(CHUNK)
    offer = scene.service.offer(ada, bob, len(content))
    async with talking(replica, ada) as adas, talking(replica, bob) as bobs:
        scene.service.answers.clear()
        accepting = asyncio.create_task(
            bobs.command("transfer_accept", transfer_id=str(offer.id)),
        )
        await wait_until(lambda: offer.state == "accepted")
        await scene.service.change(offer, "paused")
        before = scene.service.asked
        scene.service.answers.set()
        await accepting
        await wait_until(lambda: scene.service.asked > before)
        await adas.send(*chunks_of(offer, content))
        await adas.acked(1)
        await bobs.command("transfer_complete", transfer_id=str(offer.id))
        assert not bobs.chunks
        await scene.service.change(offer, "accepted")
        await bobs.until(lambda: bobs.chunks)


async def test_who_was_refused_hears_no_more_of_a_transfer(
    scene: Scene, replica: Replica, ada: User, bob: User
) -> None:
    offer = scene.service.offer(ada, bob, CHUNK)
    async with talking(replica, scene.world.user()) as eves:
        refused = await eves.command("transfer_accept", transfer_id=str(offer.id))
        assert refused["code"] == "not-found"
        before = scene.service.asked
        await scene.service.change(offer, "accepted")
        await eves.command("transfer_complete", transfer_id=str(offer.id))
        assert scene.service.asked == before
