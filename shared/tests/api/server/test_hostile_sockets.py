"""What a hostile peer of a WebSocket gets: which code, how much is held, and who waits."""

import asyncio
import gc
from collections import Counter
from collections.abc import AsyncGenerator
from itertools import pairwise
from typing import Any
from uuid import uuid4

import pytest
from starlette.types import Receive, Scope, Send
from websockets.frames import Frame, Opcode

from shared.tests.api.server.peers import (
    HANDSHAKE,
    KIB,
    LARGE,
    Application,
    connected,
    sent,
)
from sharezync_shared.server import frame_reader, websocket_guard
from sharezync_shared.server.frame_reader import OVERHEAD_BURST, READ_BYTES, TURN_FRAMES
from sharezync_shared.server.settings import WebSocketSettings
from sharezync_shared.server.websocket_protocol import FanoutProtocol
from sharezync_testkit.serving import Served, plain_asgi, serving
from sharezync_testkit.waiting import wait_until


@pytest.fixture
def app() -> Application:
    return Application()


@pytest.fixture
async def served(app: Application) -> AsyncGenerator[Served]:
    async with serving(
        plain_asgi(websocket=app), websockets=WebSocketSettings(max_message_bytes=1536 * KIB)
    ) as served:
        yield served


@pytest.fixture
def turns(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many frames were parsed at a time, each time."""
    counts: list[int] = []
    handle = FanoutProtocol.handle_events

    def handle_events(self: FanoutProtocol) -> None:
        counts.append(len(self.conn.events))
        handle(self)

    monkeypatch.setattr(FanoutProtocol, "handle_events", handle_events)
    return counts


FLOODS = {
    "empty pongs": sent(Opcode.PONG) * 5000,
    "pongs": sent(Opcode.PONG, b"x" * 125) * 500,
    "pings": sent(Opcode.PING, b"x") * 5000,
    "empty fragments": sent(Opcode.TEXT, fin=False)
    + (sent(Opcode.CONT, fin=False) * 500 + sent(Opcode.PONG)) * 3,
    "messages in small pieces": (
        sent(Opcode.BINARY, b"x", fin=False)
        + sent(Opcode.CONT, b"x" * 100, fin=False) * 100
        + sent(Opcode.CONT)
    )
    * 50,
}


@pytest.mark.parametrize("flood", FLOODS.values(), ids=FLOODS)
@pytest.mark.usefixtures("errors")
async def test_frames_without_end_that_bring_nothing_are_a_flood(
    app: Application, served: Served, turns: list[int], flood: bytes
) -> None:
    async with connected(served) as peer:
        flooding = asyncio.create_task(peer.flood(flood))
        assert await peer.close_code() == 1008
        await wait_until(lambda: app.code == 1008)
        flooding.cancel()
    assert max(turns) <= TURN_FRAMES + 1  # and one that had begun before
    assert sum(turns) <= OVERHEAD_BURST + 1000  # a thousand of a second's worth, at the very most
    await wait_until(lambda: not served.server.server_state.connections)


async def test_between_two_messages_of_one_peer_others_have_their_turn(
    app: Application, served: Served
) -> None:
    loop = asyncio.get_running_loop()
    turns, heard_at = 0, []

    def turn() -> None:
        nonlocal turns
        turns += 1
        heard_at.append(len(app.heard))
        loop.call_soon(turn)

    app.listens.clear()
    async with connected(served) as peer:
        await peer.send(sent(Opcode.TEXT, b"a") * 60)
        await wait_until(lambda: app.ports and app.ports[0].queue.qsize() > 50)
        loop.call_soon(turn)
        app.listens.set()
        await wait_until(lambda: len(app.heard) == 60)
    steps = [after - before for before, after in pairwise(heard_at)]
    assert max(steps) <= 2


async def test_a_peer_may_be_held_to_small_messages_for_a_while(
    app: Application, served: Served
) -> None:
    async with connected(served) as peer:
        await wait_until(lambda: app.ports)
        port = app.ports[0]
        port.limit_messages(1000)
        await peer.send(sent(Opcode.TEXT, b"a" * 1000))
        await wait_until(lambda: app.heard)
        port.limit_messages(None)
        await peer.send(sent(Opcode.TEXT, b"a" * 1001))
        await wait_until(lambda: len(app.heard) == 2)
        port.limit_messages(1000)
        await peer.send(sent(Opcode.TEXT, b"a" * 1001)[:8])  # only says so
        assert await peer.close_code() == 1009


async def test_between_two_turns_of_one_peer_others_have_theirs(
    app: Application, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = asyncio.get_running_loop()
    passed = 0
    at: list[int] = []

    def tick() -> None:
        nonlocal passed
        passed += 1
        loop.call_soon(tick)

    handle = FanoutProtocol.handle_events

    def handle_events(self: FanoutProtocol) -> None:
        if self.conn.events:
            at.append(passed)
        handle(self)

    monkeypatch.setattr(FanoutProtocol, "handle_events", handle_events)
    loop.call_soon(tick)
    async with connected(served) as peer:
        await peer.send(sent(Opcode.TEXT, b"x") * 1000 + sent(Opcode.PONG) * 900)
        await wait_until(lambda: len(app.heard) == 1000)
        await peer.send(sent(Opcode.CLOSE, b"\x03\xe8"))
        assert await peer.close_code() == 1000
    assert len(at) >= 1900 / TURN_FRAMES
    # What was read is parsed in the phase of I/O, further turns in that of callbacks: of each
    # there may be one between two ticks.
    assert max(Counter(at).values()) <= 2
    assert len(set(at)) > len(at) / 2


@pytest.mark.parametrize("opcode", [Opcode.PING, Opcode.PONG])
async def test_a_modest_number_of_control_frames_is_legal(
    app: Application, served: Served, opcode: Opcode
) -> None:
    async with connected(served) as peer:
        await peer.send(sent(opcode, b"x") * 900)
        await peer.send(sent(Opcode.TEXT, b"still here"))
        await wait_until(lambda: app.heard)
        assert app.heard[0]["text"] == "still here"


async def test_messages_without_end_are_read_at_a_pace_and_none_is_lost(
    app: Application, served: Served, turns: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frame_reader, "MESSAGES_PER_SECOND", 5000)
    monkeypatch.setattr(frame_reader, "MESSAGES_BURST", 100)
    async with connected(served) as peer:
        app.listens.clear()
        await peer.send(b"".join(sent(Opcode.TEXT, b"%d" % n) for n in range(3000)))
        await wait_until(lambda: app.ports and app.ports[0].queue.qsize())
        (port,) = app.ports
        await asyncio.sleep(0.1)  # for whatever else might be read
        assert 0 < port.queue.qsize() <= TURN_FRAMES
        assert len(port.stream.buffer) <= READ_BYTES
        app.listens.set()
        await wait_until(lambda: len(app.heard) == 3000)
        assert [int(message["text"]) for message in app.heard] == list(range(3000))
        assert max(turns) <= TURN_FRAMES + 1  # and one that had begun before


async def test_beyond_the_pace_nothing_is_read(
    app: Application, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frame_reader, "MESSAGES_PER_SECOND", 0.001)
    monkeypatch.setattr(frame_reader, "MESSAGES_BURST", 100)
    async with connected(served) as peer:
        await peer.send(sent(Opcode.BINARY, b"x") * 20 + sent(Opcode.BINARY, bytes(20_000)) * 500)
        await peer.send(sent(Opcode.BINARY, b"x") * 3000)
        await wait_until(lambda: app.ports and app.ports[0].next_turn is not None)
        await wait_until(lambda: len(app.heard) > 600)
        await asyncio.sleep(0.1)  # for whatever else might be read
        assert len(app.heard) <= 20 + 500 + 100 + TURN_FRAMES
        (port,) = app.ports
        assert port.reading_stopped
        assert len(port.stream.buffer) <= READ_BYTES


BEGUN = {
    "a large frame, in drops": (LARGE[: 2 * READ_BYTES], b"x"),
    "a large frame, and silence": (LARGE[:100], b""),
    "half a header": (b"\x81", b""),
    "a fragment, and pongs": (sent(Opcode.TEXT, b"x" * 2000, fin=False), sent(Opcode.PONG)),
    "a fragment, and silence": (sent(Opcode.TEXT, b"x" * 2000, fin=False), b""),
}


@pytest.mark.parametrize("begun", BEGUN.values(), ids=BEGUN)
@pytest.mark.usefixtures("errors")
async def test_a_message_that_does_not_grow_is_not_waited_for(
    app: Application, served: Served, begun: tuple[bytes, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (frame_reader, websocket_guard):
        monkeypatch.setattr(module, "PACE_GRACE_SECONDS", 0.05)
    monkeypatch.setattr(frame_reader, "PACE_BYTES_PER_SECOND", 1_000_000)
    first, then = begun
    async with connected(served) as peer:
        await peer.send(first)
        reading = asyncio.create_task(peer.close_code())
        while not reading.done():
            await peer.send(then)
            await asyncio.sleep(0.02)
        assert await reading == 1008
        await wait_until(lambda: app.code == 1008)
        (port,) = app.ports
        assert port.stream.awaited is None
        assert not port.frames


def test_a_message_must_grow_by_four_kibibytes_a_second() -> None:
    growth = frame_reader.Growth("one", 0, now=100)
    assert not growth.is_too_slow("one", 0, now=115)
    assert not growth.is_too_slow("one", 15 * 4096, now=130)
    assert growth.is_too_slow("one", 15 * 4096 - 1, now=130)
    assert not growth.is_too_slow("two", 15 * 4096, now=130)
    assert not growth.is_too_slow("two", 15 * 4096, now=145)
    assert growth.is_too_slow("two", 15 * 4096, now=146)


JUNK = {
    "unmasked": (b"\x81\x01x", 1002),
    "reserved bits": (b"\xf1\x81\0\0\0\0x", 1002),
    "deflate that was not agreed on": (b"\xc1\x81\0\0\0\0x", 1002),
    "an opcode that isn't": (b"\x83\x81\0\0\0\0x", 1002),
    "a long ping": (b"\x89\xfe\0\x7e\0\0\0\0" + bytes(126), 1002),
    "a ping in pieces": (b"\x09\x80\0\0\0\0", 1002),
    "a continuation of nothing": (sent(Opcode.CONT), 1002),
    "a message within a message": (sent(Opcode.TEXT, b"x", fin=False) + sent(Opcode.TEXT), 1002),
    "a length with the top bit": (b"\x82\xff" + b"\xff" * 8 + bytes(4), 1009),
    "too large": (sent(Opcode.BINARY, bytes(1536 * KIB + 1)), 1009),
    "too large in pieces": (
        sent(Opcode.BINARY, bytes(1536 * KIB), fin=False) + sent(Opcode.CONT, b"x"),
        1009,
    ),
    "no UTF-8": (sent(Opcode.TEXT, b"\xff\xfe"), 1007),
    "no UTF-8 in a close": (sent(Opcode.CLOSE, b"\x03\xe8\xff"), 1007),
    "a close of one byte": (sent(Opcode.CLOSE, b"\x03"), 1002),
    "a code that isn't": (sent(Opcode.CLOSE, b"\x00\x01"), 1002),
}


@pytest.mark.parametrize(("junk", "code"), JUNK.values(), ids=JUNK)
@pytest.mark.usefixtures("errors")
async def test_junk_is_told_apart_by_its_code_whatever_follows_it(
    app: Application, served: Served, junk: bytes, code: int
) -> None:
    async with connected(served) as peer:
        reading = asyncio.create_task(peer.close_code())
        await peer.send(junk + sent(Opcode.BINARY, bytes(KIB * KIB)) * 2)
        assert await reading == code
        await wait_until(lambda: app.code == code)


async def test_who_was_failed_and_goes_on_is_cut_off(
    app: Application, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(websocket_guard, "LINGER_BYTES", 1000)
    async with connected(served) as peer:
        flooding = asyncio.create_task(peer.flood(b"\xff" * 1000))
        await wait_until(lambda: not served.server.server_state.connections)
        await flooding
    assert app.code == 1002


async def test_who_was_failed_and_says_nothing_is_cut_off(
    app: Application, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(websocket_guard, "GRACE_SECONDS", 0.05)
    async with connected(served) as peer:
        await peer.send(b"\xff" * 1000)
        await wait_until(lambda: not served.server.server_state.connections)
    assert app.code == 1002


@pytest.mark.parametrize(
    "flood",
    [FLOODS["empty pongs"], b"\xff" * 1000, sent(Opcode.TEXT, b"x") * 1000],
    ids=["pongs", "junk", "messages"],
)
async def test_who_floods_instead_of_answering_a_close_is_cut_off(
    app: Application, served: Served, flood: bytes
) -> None:
    async with connected(served) as peer:
        await wait_until(lambda: app.ports)
        app.ports[0].close(4001, "going away")
        flooding = asyncio.create_task(peer.flood(flood))
        await wait_until(lambda: not served.server.server_state.connections)
        await flooding
    assert app.code == 4001


async def test_a_pong_may_be_late_that_comes_behind_a_large_message_on_a_slow_line(
    app: Application, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(websocket_guard, "GRACE_SECONDS", 0.05)
    async with connected(served) as peer:
        await peer.send(sent(Opcode.BINARY, bytes(200 * KIB)))
        await wait_until(lambda: app.heard)
        (port,) = app.ports
        port.received_at_ping = 0
        port.keepalive_timeout()
        assert port.pong_timer is not None
        assert not port.close_sent
        port.keepalive_timeout()  # nothing came since
        assert await peer.close_code() == 1011


async def refuse_with_an_answer(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "websocket.http.response.start", "status": 429, "headers": []})
    await send({"type": "websocket.http.response.body", "body": b"later"})


async def refuse(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "websocket.close"})


@pytest.mark.parametrize(
    ("application", "status"), [(refuse_with_an_answer, b"429"), (refuse, b"403")]
)
@pytest.mark.usefixtures("errors")
async def test_a_refused_handshake_is_no_error_of_ours(application: Any, status: bytes) -> None:
    async with serving(plain_asgi(websocket=application)) as served:
        reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
        writer.write(HANDSHAKE)
        assert (await reader.read()).startswith(b"HTTP/1.1 " + status)
        writer.close()
        reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
        writer.write(HANDSHAKE)  # and who doesn't wait for the answer
        writer.transport.abort()
        reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
        writer.write(HANDSHAKE.replace(b"Version: 13", b"Version: 12"))
        assert (await reader.read()).startswith(b"HTTP/1.1 4")
        writer.close()
        await wait_until(lambda: not served.server.server_state.tasks)


@pytest.mark.usefixtures("errors")
async def test_who_vanishes_in_whatever_phase_is_no_error_of_ours(
    app: Application, served: Served
) -> None:
    phases = [HANDSHAKE[:20], HANDSHAKE, HANDSHAKE + sent(Opcode.TEXT, bytes(2000))[:1000]]
    for phase in phases:
        _, writer = await asyncio.open_connection("127.0.0.1", served.port)
        writer.write(phase)
        await asyncio.sleep(0.01)
        writer.transport.abort()
    async with connected(served) as peer:
        await peer.send(sent(Opcode.BINARY, bytes(KIB * KIB))[: 2 * READ_BYTES])
    async with connected(served) as peer:
        await wait_until(lambda: app.ports)
        app.ports[-1].close(4001)
    await wait_until(lambda: not served.server.server_state.tasks)


@pytest.mark.parametrize("opcode", [Opcode.TEXT, Opcode.BINARY])
@pytest.mark.parametrize("fragments", [1, 2])
async def test_a_socket_that_waits_holds_nothing_of_what_came_before(
    app: Application, served: Served, opcode: Opcode, fragments: int
) -> None:
    payload = f"{uuid4()}".encode() * 8 * KIB  # told from what other tests may have left
    last = [sent(Opcode.CONT, payload)] if fragments > 1 else []
    async with connected(served) as peer:
        await peer.send(b"".join([sent(opcode, payload, fin=not last), *last]))
        await wait_until(lambda: len(app.heard) == 1)
        held = [o for o in gc.get_objects() if type(o) is Frame and payload[:36] in o.data[:36]]
        assert not held
