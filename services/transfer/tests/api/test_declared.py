"""What transfer says on sockets is what it declares (`x-realtime`), and all of it."""

from services.transfer.tests.support.world import DECLARED, MIB, World
from sharezync_shared.streams.declared import Realtime
from sharezync_testkit.waiting import wait_until
from sharezync_transfer.api.commands import COMMANDS
from sharezync_transfer.usecases.events import EVENTS


async def test_everything_declared_is_told_and_nothing_else(world: World) -> None:
    ada, bob = await world.people(2)
    offered = await ada.offer(bob)
    await world.report(ada, offered, stored={"0": MIB})  # nobody takes it yet
    await bob.act(offered, "accept")
    await world.receives(bob, offered)
    await wait_until(lambda: world.signals(ada) and world.signals(bob))
    world.peers.store_everything()
    await ada.act(offered, "complete")
    phone = await world.on_device(bob)
    policy = f"/v1/transfers/policies/{phone.device_id}"
    await phone.call("PUT", policy, 200, json={"policy": "ask"})

    told = set()
    for person in (ada, bob):
        said = [*await world.events(person), *world.signals(person)]
        told |= {DECLARED.check(frame) for frame in said}
    assert told == DECLARED.declared
    senders, recipients = world.signals(ada)[0]["data"], world.signals(bob)[0]["data"]
    assert senders.keys() - recipients.keys() == {"recipients"}


async def test_its_document_carries_what_it_declares(world: World) -> None:
    assert world.app.openapi()["x-realtime"] == Realtime(EVENTS, COMMANDS).document()
