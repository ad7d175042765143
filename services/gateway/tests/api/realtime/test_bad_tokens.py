"""No bad token opens a socket, however it is shown."""

import asyncio
import re
from typing import Final

import pytest
from websockets.exceptions import InvalidHandshake

from services.gateway.tests.api.realtime.world import Device, Node, User
from sharezync_testkit.bad_tokens import bad_tokens, good_token

WAYS: Final = ("header", "subprotocol", "frame")
BAD_TOKEN: Final = 4501
TOKEN_OF_HTTP: Final = re.compile(r"[\w!#$%&'*+.^`|~-]+", re.ASCII)
AT_ONCE: Final = 8
"""More sockets than that at once would only measure how busy the machine is."""


@pytest.mark.parametrize("way", WAYS)
async def test_no_bad_token_opens_a_socket(node: Node, ada: User, way: str) -> None:
    wrong = bad_tokens(node.world.issuer)
    wrong += [("of the other audience", good_token(node.world.issuer, "service"))]
    if way == "subprotocol":  # clients can't even send what is no token of HTTP
        wrong = [(name, token) for name, token in wrong if TOKEN_OF_HTTP.fullmatch(token)]
    assert len(wrong) > 100
    room = asyncio.Semaphore(AT_ONCE)

    async def outcome(token: str) -> str:
        async with room:
            return await _outcome(node, ada, token, way)

    outcomes = await asyncio.gather(*(outcome(token) for _, token in wrong))
    names = [name for name, _ in wrong]
    assert {name: told for name, told in zip(names, outcomes, strict=True) if told != "shut"} == {}
    assert "heads" not in {call for call, *_ in node.world.services.asked}
    assert not node.world.services.online
    assert await _outcome(node, ada, node.world.token(ada), way) == "ready"


async def _outcome(node: Node, user: User, token: str, way: str) -> str:
    """Return what comes of a socket: "ready", or "shut" where it was closed for its token."""
    device = Device(node, user, "/ws/laptop", token=token, by=way)
    device._waits_for_ready = False
    try:
        async with device:
            if way == "frame":
                await device.say("authenticate", token=token)
            answer = asyncio.create_task(device.frame())
            closing = asyncio.create_task(device.socket.wait_closed())
            await asyncio.wait({answer, closing}, return_when=asyncio.FIRST_COMPLETED)
            if closing.done():
                answer.cancel()
                await asyncio.wait({answer})
                code = device.socket.close_code
                return "shut" if code == BAD_TOKEN else f"closed with {code}"
            closing.cancel()
            return str(answer.result()["type"])
    except InvalidHandshake:
        return "shut"  # too long for a header
