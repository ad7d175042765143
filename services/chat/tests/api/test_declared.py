"""What chat says on sockets is what it declares (`x-realtime`): the same data, and all of it."""

from typing import Any

import pytest

from services.chat.tests.support.world import DECLARED, World, channel_stream
from sharezync_chat.api.internal import COMMANDS
from sharezync_chat.usecases.events import EVENTS
from sharezync_shared.ids import uuid7
from sharezync_shared.streams.declared import Realtime


async def test_everything_declared_is_told_and_nothing_else(world: World) -> None:
    ada, bob = await world.people("ada", "bob")
    path = await ada.channel("public", bob)
    await ada.patch(path, {"topic": "steam"})
    await ada.patch(f"{path}/members/{bob.id}", {"role": "admin"})
    await bob.patch(f"{path}/members/{bob.id}", {"muted": True})
    message = await ada.say(path)
    one = f"/v1/messages/{message['id']}"
    await ada.patch(one, {"text": "hello again"})
    for act in (ada.put, ada.delete):
        await act(f"{one}/reactions/👍", status=204)
        await act(f"{path}/pins/{message['id']}", status=204)
    await bob.put(f"{path}/read", {})
    await ada.delete(one)
    await bob.post(f"{path}/leave", status=204)
    await ada.delete(path)

    told = set()
    for stream in (channel_stream(path), f"inbox:{ada.id}", f"inbox:{bob.id}"):
        told |= {DECLARED.check(event) for event in await world.events(stream)}
    assert told == DECLARED.declared


async def test_its_document_carries_what_it_declares(world: World) -> None:
    assert world.app.openapi()["x-realtime"] == Realtime(EVENTS, COMMANDS).document()


@pytest.mark.parametrize(
    "change",
    [{"more": 1}, {"seq": "7"}, {"author": {"id": 7}}, {"reactions": [{"emoji": "x"}]}],
)
async def test_data_of_another_shape_is_noticed(world: World, change: dict[str, Any]) -> None:
    ada = await world.person()
    path = await ada.channel()
    await ada.say(path)
    (*_, event) = await world.events(channel_stream(path))
    DECLARED.check(event)
    with pytest.raises(AssertionError):
        DECLARED.check({**event, "data": {**event["data"], **change}})
    for wrong in ({"type": "message.lost"}, {"stream": f"inbox:{uuid7()}"}):
        with pytest.raises(AssertionError, match="not declared"):
            DECLARED.check({**event, **wrong})
