"""What comes before its time: frames before the handshake is answered, messages that are begun."""

import asyncio
from contextlib import AsyncExitStack

import pytest
from starlette.types import Message, Receive, Scope, Send
from websockets.frames import Opcode

from shared.tests.api.server.peers import HANDSHAKE, KIB, LARGE, Application, connected, sent
from sharezync_shared.server import unfinished
from sharezync_shared.server.frame_reader import READ_BYTES
from sharezync_shared.server.settings import WebSocketSettings
from sharezync_shared.server.websocket_protocol import FanoutProtocol
from sharezync_testkit.serving import plain_asgi, serving
from sharezync_testkit.waiting import wait_until


async def test_nothing_is_read_until_accepted_though_the_handshake_had_to_wait_its_turn() -> None:
    """Two protocols have the connection, one after the other; only one may pause and resume it."""
    asked = asyncio.Event()

    async def never(scope: Scope, receive: Receive, send: Send) -> None:
        asked.set()
        await asyncio.Event().wait()

    async with (
        serving(plain_asgi(http=never, websocket=never)) as served,
        AsyncExitStack() as stack,
    ):
        (_, first), (_, second) = [
            await asyncio.open_connection("127.0.0.1", served.port) for _ in range(2)
        ]
        stack.callback(first.transport.abort)
        stack.callback(second.transport.abort)
        first.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")  # has the turn of this pass
        second.write(HANDSHAKE)
        connections = served.server.server_state.connections
        await wait_until(lambda: any(isinstance(each, FanoutProtocol) for each in connections))
        (socket,) = (each for each in connections if isinstance(each, FanoutProtocol))
        second.write(bytes(16 * KIB * KIB))
        await asyncio.sleep(0.2)  # for whatever might be read
        assert len(socket.stream.buffer) <= READ_BYTES


@pytest.mark.parametrize("at_once", [True, False])
@pytest.mark.usefixtures("errors")
async def test_nothing_is_heeded_before_the_handshake_is_answered(at_once: bool) -> None:
    may_accept = asyncio.Event()
    heard: list[Message] = []

    async def late(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await may_accept.wait()
        await send({"type": "websocket.accept"})
        heard.append(await receive())

    async with serving(plain_asgi(websocket=late)) as served:
        reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
        early = sent(Opcode.PING, b"early") + sent(Opcode.TEXT, b"early")
        writer.write(HANDSHAKE + early if at_once else HANDSHAKE)
        await wait_until(lambda: served.server.server_state.tasks)
        if not at_once:
            writer.write(early)
        await asyncio.sleep(0.05)
        may_accept.set()
        answer = await reader.readuntil(b"\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 101 ")
        assert await reader.readexactly(7) == b"\x8a\x05early"
        await wait_until(lambda: heard)
        assert heard[0]["text"] == "early"
        writer.transport.abort()


async def test_all_messages_that_have_begun_hold_little_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(unfinished, "_LOOK_SECONDS", 0.01)
    websockets = WebSocketSettings(max_unfinished_bytes=3 * KIB * KIB)
    app = Application()
    async with (
        serving(plain_asgi(websocket=app), websockets=websockets) as served,
        AsyncExitStack() as stack,
    ):
        peers = [await stack.enter_async_context(connected(served)) for _ in range(4)]
        for number, peer in enumerate(peers[:3]):
            await peer.send(LARGE[: (200 + 100 * number) * KIB])
        await wait_until(lambda: sum(port.unfinished_bytes > 0 for port in app.ports) == 3)
        await asyncio.sleep(0.1)
        await peers[3].send(LARGE[: 900 * KIB])
        assert await peers[0].close_code() == 1013
        for number, peer in enumerate(peers[1:3], start=1):
            await peer.send(LARGE[(200 + 100 * number) * KIB :])
        await peers[3].send(LARGE[900 * KIB :])
        came = [KIB * KIB] * 3
        await wait_until(lambda: [len(m["bytes"]) for m in app.heard if "bytes" in m] == came)
