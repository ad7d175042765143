"""What costs much of one user is done one by one, on whichever of their sockets it came.

Each test takes the user's turn itself: then nothing of theirs that costs much may happen.
"""

import pytest

from services.gateway.tests.api.realtime.world import Node, User, World
from sharezync_gateway.realtime import Connection, budget
from sharezync_gateway.realtime.protocol import CloseCode

LONG = {f"x{number}": ["", 0] for number in range(400)}


@pytest.fixture(autouse=True)
def turns_last(monkeypatch: pytest.MonkeyPatch) -> None:
    """However slow the machine is, the turn is the test's until it gives it back."""
    monkeypatch.setattr(budget, "_LONGEST_TURN_SECONDS", 60)


def connection_of(node: Node, user: User) -> Connection:
    (connection, *_) = node.engine.of_user(user.id)
    return connection


async def test_long_texts_are_read_one_by_one_and_short_ones_at_once(
    node: Node, ada: User, bob: User
) -> None:
    async with node.device(ada, "a") as a, node.device(ada, "b") as b, node.device(bob) as innocent:
        async with connection_of(node, ada).costly():
            long = await a.say("resume", cursors=LONG)
            await a.hears_nothing_yet()
            await b.hears_nothing()
            await innocent.say("resume", cursors=LONG)
            await innocent.frame("resumed")
        assert (await a.frame("resumed"))["id"] == long
        await a.say("resume", cursors=LONG)
        await a.frame("resumed")


async def test_presence_is_asked_for_one_by_one(
    world: World, node: Node, ada: User, bob: User
) -> None:
    world.channel(ada, bob)

    def asked(user: User) -> bool:
        return any(call[:2] == ("acquaintances", user.id) for call in world.services.asked)

    async with node.device(ada, "a") as a, node.device(ada, "b") as b, node.device(bob) as innocent:
        async with connection_of(node, ada).costly():
            await a.say("subscribe", users=[bob.id])
            await a.hears_nothing_yet()
            assert not asked(ada)
            await b.hears_nothing()
            await innocent.say("subscribe", users=[ada.id])
            await innocent.frame("reply")
        await a.frame("reply")
        assert asked(ada)


async def test_what_waited_for_its_turn_until_the_socket_was_closed_is_not_done(
    world: World, node: Node, ada: User
) -> None:
    channel = world.channel(ada).removeprefix("channel:")
    async with node.device(ada) as a, node.device(ada, "b") as b:
        async with connection_of(node, ada).costly():
            await a.say("send_message", channel_id=channel, text="x" * 8000)
            await a.hears_nothing_yet()
            for connection in node.engine.of_user(ada.id):
                if connection.client_id == "laptop":
                    connection.close(CloseCode.REVOKED, "revoked")
        await b.say("resume", cursors=LONG)  # comes behind it
        await b.frame("resumed")
    assert not world.services.batches
