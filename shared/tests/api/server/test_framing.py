"""One request, one answer: over a real socket, whatever a request offers, and however it is cut."""

import asyncio
from collections.abc import Sequence
from itertools import product

import pytest
from starlette.types import Receive, Scope, Send
from websockets.frames import Frame, Opcode

from shared.tests.api.server.wire import Echo, connected, echoing
from sharezync_testkit.serving import plain_asgi, serving
from sharezync_testkit.waiting import GIVE_UP_SECONDS

SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
NEXT = b"GET /next HTTP/1.1\r\nHost: x\r\n\r\n"
CHUNKED = b"%x\r\n%b\r\n0\r\n\r\n" % (len(SMUGGLED), SMUGGLED)
OFFERS = {
    "nothing": b"",
    "h2c": b"Connection: Upgrade\r\nUpgrade: h2c\r\n",
    "h2c as Java does": b"Connection: Upgrade, HTTP2-Settings\r\n"
    b"HTTP2-Settings: AAEAAEAAAAIAAAAB\r\nUpgrade: h2c\r\n",
    "foo": b"Upgrade: foo\r\nConnection: upgrade\r\n",
    "websocket among others": b"Upgrade: websocket, h2c\r\nConnection: upgrade\r\n",
    "no Connection": b"Upgrade: websocket\r\n",
}
WEBSOCKET = b"Connection: upgrade\r\nUpgrade: websocket\r\n"
FRAMINGS = {
    "length": (b"Content-Length: %d\r\n" % len(SMUGGLED), SMUGGLED),
    "chunked": (b"Transfer-Encoding: chunked\r\n", CHUNKED),
}


def cut(sent: bytes, how: str, head: int) -> Sequence[bytes]:
    return {
        "in one packet": [sent],
        "the body in a later one": [sent[:head], sent[head:]],
        "anywhere": [sent[i : i + 61] for i in range(0, len(sent), 61)],
    }[how]


METHODS = ("POST", "PUT", "PATCH", "DELETE", "GET", "OPTIONS")
CUTS = ("in one packet", "the body in a later one", "anywhere")


@pytest.mark.parametrize("offer", OFFERS)
async def test_a_body_is_a_body_whatever_is_offered(offer: str) -> None:
    async with echoing() as (wire, echo, _):
        for method, (framing, body), how in product(METHODS, FRAMINGS.values(), CUTS):
            head = b"%b /a HTTP/1.1\r\nHost: x\r\n" % method.encode()
            head += OFFERS[offer] + framing + b"\r\n"
            await wire.send(*cut(head + body + NEXT, how, len(head)))
            assert await wire.answer() == (200, f"{method} /a ".encode() + SMUGGLED)
            assert await wire.answer() == (200, b"GET /next ")
        assert len(echo.asked) == 2 * 36


async def test_the_body_is_waited_for_whatever_is_offered() -> None:
    async with echoing() as (wire, echo, _):
        for offer in OFFERS.values():
            head = b"POST /a HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n" + offer
            await wire.send(head + FRAMINGS["length"][0] + b"\r\n")
            assert await wire.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
            await wire.send(SMUGGLED + NEXT)
            assert await wire.answer() == (200, b"POST /a " + SMUGGLED)
            assert await wire.answer() == (200, b"GET /next ")
        assert len(echo.asked) == 2 * len(OFFERS)


async def refused(sent: dict[str, bytes], status: int) -> None:
    """Each is answered once, and its connection closed; nothing of it is asked for."""
    echo, got = Echo(), {}
    async with serving(plain_asgi(http=echo)) as served:
        for what, packet in sent.items():
            async with connected(served) as wire:
                await wire.send(packet)
                await wire.send(SMUGGLED)
                first, _ = await wire.answer()
                assert first == status, what
                got[what] = [first, *(each for each, _ in await wire.answers())]
    assert got == {what: [status] for what in sent}
    assert not echo.asked


LENGTH_0 = [(b"content-length", b"0")]
HEAD = b"POST /a HTTP/1.1\r\nHost: x\r\n"
UNCLEAR = {
    "both framings": HEAD + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "both, turned round": HEAD
    + b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
    "two lengths": HEAD + b"Content-Length: 4\r\nContent-Length: 4\r\n\r\nabcd",
    "a list of lengths": HEAD + b"Content-Length: 4, 4\r\n\r\nabcd",
    "a length with a sign": HEAD + b"Content-Length: +4\r\n\r\nabcd",
    "a negative length": HEAD + b"Content-Length: -4\r\n\r\nabcd",
    "a length in hexadecimal": HEAD + b"Content-Length: 0x4\r\n\r\nabcd",
    "a length with an underscore": HEAD + b"Content-Length: 1_0\r\n\r\nabcdefghij",
    "a length that overflows": HEAD + b"Content-Length: 99999999999999999999999\r\n\r\nabcd",
    "an empty length": HEAD + b"Content-Length:\r\n\r\nabcd",
    "an unknown coding": HEAD + b"Transfer-Encoding: gzip\r\n\r\nabcd",
    "two codings": HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "chunked twice": HEAD + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
    "chunked in quotes": HEAD + b'Transfer-Encoding: "chunked"\r\n\r\n0\r\n\r\n',
    "chunked behind a tab": HEAD + b"Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n",
    "identity": HEAD + b"Transfer-Encoding: identity\r\n\r\n0\r\n\r\n",
    "chunked in 1.0": b"POST /a HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a folded field": HEAD + b"X-A: b\r\n c\r\n\r\n",
    "a fold at the start": b"GET /a HTTP/1.1\r\n Host: x\r\n\r\n",
    "a space before the colon": HEAD + b"Content-Length : 4\r\n\r\nabcd",
    "a bare LF": HEAD + b"X-A: b\nContent-Length: 4\r\n\r\nabcd",
    "a bare LF behind the request line": b"GET /a HTTP/1.1\nHost: x\r\n\r\n",
    "a bare CR": HEAD + b"X-A: b\rContent-Length: 4\r\n\r\nabcd",
    "a NUL": HEAD + b"X-A: b\x00\r\n\r\n",
    "a nameless field": HEAD + b": b\r\n\r\n",
    "a field without a colon": HEAD + b"X-A\r\n\r\n",
    "no Host": b"GET /a HTTP/1.1\r\n\r\n",
    "two Hosts": b"GET /a HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
    "a long method": b"G" * 1000 + b" /a HTTP/1.1\r\nHost: x\r\n\r\n",
    "a method in lower case": b"get /a HTTP/1.1\r\nHost: x\r\n\r\n",
    "HTTP/0.9": b"GET /a\r\n\r\n",
    "HTTP/0.9, and another": b"GET /a\r\nGET /b HTTP/1.1\r\nHost: x\r\n\r\n",
    "HTTP/2": b"GET /a HTTP/2.0\r\nHost: x\r\n\r\n",
    "HTTP/2's preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "another protocol": b"DESCRIBE /a RTSP/1.0\r\nHost: x\r\n\r\n",
    "two spaces": b"GET  /a HTTP/1.1\r\nHost: x\r\n\r\n",
    "a space in the target": b"GET /a b HTTP/1.1\r\nHost: x\r\n\r\n",
    "a fragment": b"GET /a#b HTTP/1.1\r\nHost: x\r\n\r\n",
    "a target beyond ASCII": b"GET /\xc3\xa4 HTTP/1.1\r\nHost: x\r\n\r\n",
    "a target that is a name": b"GET a HTTP/1.1\r\nHost: x\r\n\r\n",
    "a user in the target": b"GET http://u:p@x/ HTTP/1.1\r\nHost: x\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
}


async def test_what_can_be_read_in_two_ways_is_refused_once_and_closed() -> None:
    await refused(UNCLEAR, 400)


async def test_what_is_no_request_of_ours_is_refused_once_and_closed() -> None:
    get, post = b"GET /a HTTP/1.1\r\nHost: x\r\n" + WEBSOCKET, HEAD + WEBSOCKET
    connect = b"CONNECT x:80 HTTP/1.1\r\nHost: x\r\n"
    sent = {
        "CONNECT": connect + b"\r\n",
        "CONNECT with a body": connect + b"Content-Length: %d\r\n\r\n" % len(SMUGGLED),
        "CONNECT to a path": b"CONNECT /a HTTP/1.1\r\nHost: x\r\n\r\n",
        "a POST for a WebSocket": post + b"\r\n",
        "a WebSocket with a length": get + b"Content-Length: %d\r\n\r\n" % len(SMUGGLED),
        "a WebSocket with chunks": get + b"Transfer-Encoding: chunked\r\n\r\n",
        "a WebSocket without a key": get + b"\r\n",
    }
    await refused(sent, 400)


CHUNKED_HEAD = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
BAD_CHUNKS = {
    "no size": b"\r\nabcd\r\n",
    "a sign": b"+4\r\nabcd\r\n0\r\n\r\n",
    "a prefix": b"0x4\r\nabcd\r\n0\r\n\r\n",
    "an underscore": b"1_0\r\nabcdefghijklmnop\r\n0\r\n\r\n",
    "a space before": b" 4\r\nabcd\r\n0\r\n\r\n",
    "a space behind": b"4 \r\nabcd\r\n0\r\n\r\n",
    "overflow": b"10000000000000004\r\nabcd\r\n0\r\n\r\n",
    "zeros without end": b"0" * 17 + b"4\r\nabcd\r\n0\r\n\r\n",
    "too long": b"3\r\nabcd\r\n0\r\n\r\n",
    "LF behind the size": b"4\nabcd\r\n0\r\n\r\n",
    "LF behind the content": b"4\r\nabcd\n0\r\n\r\n",
    "CR in an extension": b"4;a\rb\r\nabcd\r\n0\r\n\r\n",
    "LF in an extension": b"4;a\n5\r\nabcd\r\n0\r\n\r\n",
    "an endless extension": b"4;" + b"a" * 10_000,
    "a request for a trailer": b"0\r\nGET /a HTTP/1.1\r\n\r\n",
    "LF behind a trailer": b"0\r\nA: b\n\r\n",
    "a folded trailer": b"0\r\nA: b\r\n c\r\n\r\n",
}


async def test_chunks_that_can_be_read_in_two_ways_are_refused_once() -> None:
    await refused({what: CHUNKED_HEAD + sent for what, sent in BAD_CHUNKS.items()}, 400)


async def test_extensions_and_trailers_are_dropped() -> None:
    async with echoing() as (wire, echo, _):
        body = b'4;a=b;c="d"\r\nabcd\r\n0;e\r\nX-Forwarded-For: 1.2.3.4\r\nAuthorization: x\r\n\r\n'
        for how in ("in one packet", "anywhere"):
            await wire.send(*cut(CHUNKED_HEAD + body + NEXT, how, 0))
            assert await wire.answer() == (200, b"POST /a abcd")
            assert await wire.answer() == (200, b"GET /next ")
        names = {name for asked in echo.asked for name, _ in asked.headers}
        assert names == {b"host", b"transfer-encoding"}


@pytest.mark.parametrize("trailer", [b"a:b\r\n", b"a" * 5, b"a:" + b"b" * 500])
async def test_trailers_without_end_are_refused(trailer: bytes) -> None:
    async with echoing() as (wire, echo, _):
        await wire.send(CHUNKED_HEAD + b"4\r\nabcd\r\n0\r\n" + trailer * 10_000)
        status, _ = await wire.answer()
        assert status == 431
        assert await wire.is_closed()
        assert not echo.asked


async def test_trailers_that_trickle_are_cut_off() -> None:
    async with echoing(head_seconds=0.1) as (wire, echo, _):
        await wire.send(CHUNKED_HEAD + b"4\r\nabcd\r\n0\r\na:b\r\n")
        assert await wire.is_closed()
        assert not echo.asked


async def test_more_framing_than_content_is_refused() -> None:
    async with echoing() as (wire, echo, _):
        await wire.send(CHUNKED_HEAD + b"1\r\nx\r\n" * 100_000 + b"0\r\n\r\n")
        assert (await wire.answer())[0] == 400
        assert not echo.asked


async def test_small_chunks_are_a_body_like_any_other() -> None:
    async with echoing() as (wire, _, _):
        await wire.send(CHUNKED_HEAD + b"8\r\nabcdefgh\r\n" * 50_000 + b"0\r\n\r\n" + NEXT)
        assert await wire.answer() == (200, b"POST /a " + b"abcdefgh" * 50_000)
        assert await wire.answer() == (200, b"GET /next ")


LARGE_HEADS = {
    "a long field": b"GET /a HTTP/1.1\r\nHost: x\r\nA: " + b"b" * 40_000 + b"\r\n\r\n",
    "many fields": b"GET /a HTTP/1.1\r\nHost: x\r\n" + b"a:\r\n" * 129 + b"\r\n",
    "empty lines": b"\r\n" * 20_000 + NEXT,
}


@pytest.mark.parametrize("head", LARGE_HEADS.values(), ids=LARGE_HEADS.keys())
async def test_a_head_is_bounded_however_it_is_packed(head: bytes) -> None:
    echo = Echo()
    async with serving(plain_asgi(http=echo)) as served:
        for before, size in product((b"", NEXT), (1000, 30_000, 100_000)):
            async with connected(served) as wire:
                sent = before + head
                await wire.send(*(sent[i : i + size] for i in range(0, len(sent), size)))
                answered = [status for status, _ in await wire.answers()]
                assert answered == [200] * bool(before) + [431]
    assert len(echo.asked) == 3


async def test_a_large_head_is_taken() -> None:
    async with echoing() as (wire, _, _):
        await wire.send(b"\r\n\r\nGET /a HTTP/1.1\r\nHost: x\r\n" + b"a: b\r\n" * 100)
        await wire.send(b"b: " + b"c" * 30_000 + b"\r\n\r\n" + NEXT)
        assert await wire.answer() == (200, b"GET /a ")
        assert await wire.answer() == (200, b"GET /next ")


async def test_the_host_of_an_absolute_target_counts() -> None:
    async with echoing() as (wire, echo, _):
        for target, path, host in (
            ("http://y/b?c", "/b", b"y"),
            ("http://y:81", "/", b"y:81"),
            ("https://y/", "/", b"y"),
            ("/b", "/b", b"x"),
        ):
            await wire.send(f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            assert await wire.answer() == (200, f"GET {path} ".encode())
            assert echo.asked[-1].headers == [(b"host", host)]


async def test_a_refusal_waits_for_the_answer_before_it() -> None:
    async with echoing() as (wire, echo, _):
        await wire.send(NEXT + b"nonsense\r\n\r\n" + SMUGGLED)
        assert [status for status, _ in await wire.answers()] == [200, 400]
        assert len(echo.asked) == 1


async def test_an_answer_that_has_begun_is_not_answered_again() -> None:
    """A body that breaks its framing while its answer is written ends both."""

    async def begin(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"part", "more_body": True})
        while (await receive())["type"] != "http.disconnect":
            pass

    async with serving(plain_asgi(http=begin)) as served, connected(served) as wire:
        await wire.send(CHUNKED_HEAD)
        head = await wire.reader.readuntil(b"part\r\n")
        assert head.startswith(b"HTTP/1.1 200 ")
        await wire.send(b"nonsense\r\n" + SMUGGLED)
        assert await wire.is_closed()


async def test_an_early_answer_leaves_the_rest_of_its_body_a_body() -> None:
    async def early(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": LENGTH_0})
        await send({"type": "http.response.body"})

    async with serving(plain_asgi(http=early)) as served, connected(served) as wire:
        for framing, body in FRAMINGS.values():
            await wire.send(HEAD + framing + b"\r\n" + body[:5])
            assert await wire.answer() == (200, b"")
            await wire.send(body[5:] + NEXT)
            assert await wire.answer() == (200, b"")
        # Who was not told to go on may send the body or not: what comes then can't be told.
        await wire.send(HEAD + b"Expect: 100-continue\r\nContent-Length: 38\r\n\r\n")
        assert await wire.answer() == (200, b"")
        await wire.send(SMUGGLED)
        assert await wire.is_closed()
        assert served.server.server_state.total_requests == 5


@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
async def test_half_a_connection_is_enough_to_be_answered(version: bytes) -> None:
    async with echoing() as (wire, echo, _):
        request = b"POST /a HTTP/%b\r\nHost: x\r\nContent-Length: 4\r\n\r\nabcd" % version
        await wire.send(request * (1 if version == b"1.0" else 3))
        wire.writer.write_eof()
        answers = await wire.answers()
        assert answers == [(200, b"POST /a abcd")] * (1 if version == b"1.0" else 3)
        assert len(echo.asked) == len(answers)


async def test_who_is_half_closed_and_gets_no_answer_is_taken_for_gone() -> None:
    over = asyncio.Event()

    async def never(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        while (await receive())["type"] != "http.disconnect":
            pass
        over.set()

    app = plain_asgi(http=never)
    async with serving(app, half_closed_seconds=0.1) as served, connected(served) as wire:
        await wire.send(NEXT)
        wire.writer.write_eof()
        assert await wire.is_closed()
        async with asyncio.timeout(GIVE_UP_SECONDS):
            await over.wait()


@pytest.mark.parametrize("cut_at", [10, 40, 60])
async def test_half_a_request_is_not_answered(cut_at: int) -> None:
    async with echoing() as (wire, echo, _):
        await wire.send((HEAD + b"Content-Length: 20\r\n\r\nabcd")[:cut_at])
        wire.writer.write_eof()
        assert await wire.is_closed()
        assert not echo.asked


async def test_http_1_0_gets_no_chunks_and_no_100_continue() -> None:
    async def streamed(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for part in (b"a", b"", b"b"):
            await send({"type": "http.response.body", "body": part, "more_body": part != b"b"})

    async with serving(plain_asgi(http=streamed)) as served, connected(served) as wire:
        await wire.send(b"POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\nx")
        async with asyncio.timeout(GIVE_UP_SECONDS):
            head, body = (await wire.reader.read()).split(b"\r\n\r\n", 1)
        assert head.startswith(b"HTTP/1.1 200 ")
        assert b"chunked" not in head
        assert body == b"ab"


async def test_bytes_behind_a_handshake_belong_to_the_socket() -> None:
    heard: list[str] = []

    async def listen(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] == "websocket.receive":
            heard.append(message["text"])

    handshake = (
        b"GET /a HTTP/1.1\r\nHost: x\r\n" + WEBSOCKET + b"Sec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    early = Frame(Opcode.TEXT, b"early").serialize(mask=True)
    for packets in ([handshake + early], [handshake, early], [NEXT + handshake + early]):
        app = plain_asgi(http=Echo(), websocket=listen)
        async with serving(app) as served, connected(served) as wire:
            await wire.send(*packets)
            if packets[0].startswith(NEXT):
                assert await wire.answer() == (200, b"GET /next ")
            async with asyncio.timeout(GIVE_UP_SECONDS):
                said = wire.seen or await wire.reader.readuntil(b"\r\n\r\n")
                assert said.startswith(b"HTTP/1.1 101 ")
                await wire.send(Frame(Opcode.CLOSE, b"\x03\xe8").serialize(mask=True))
                said = await wire.reader.read()
            assert said.endswith(b"\x88\x02\x03\xe8")
    assert heard == ["early"] * 3
