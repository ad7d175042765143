"""One request, one answer: over a real socket, whatever a request offers, and however it is cut."""

import asyncio
from collections.abc import Sequence

import pytest

from shared.tests.unit.server.wire import echoing

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


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "GET", "OPTIONS"])
@pytest.mark.parametrize("offer", OFFERS)
async def test_a_body_is_a_body_whatever_is_offered(method: str, offer: str) -> None:
    async with echoing() as (wire, echo, _):
        for framing, body in FRAMINGS.values():
            for how in ("in one packet", "the body in a later one", "anywhere"):
                head = b"%b /a HTTP/1.1\r\nHost: x\r\n" % method.encode()
                head += OFFERS[offer] + framing + b"\r\n"
                await wire.send(*cut(head + body + NEXT, how, len(head)))
                assert await wire.answer() == (200, f"{method} /a ".encode() + SMUGGLED)
                assert await wire.answer() == (200, b"GET /next ")
        assert len(echo.asked) == 12


@pytest.mark.parametrize("offer", OFFERS)
async def test_the_body_is_waited_for_whatever_is_offered(offer: str) -> None:
    async with echoing() as (wire, echo, _):
        head = b"POST /a HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n" + OFFERS[offer]
        await wire.send(head + FRAMINGS["length"][0] + b"\r\n")
        assert await wire.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        await wire.send(SMUGGLED + NEXT)
        assert await wire.answer() == (200, b"POST /a " + SMUGGLED)
        assert await wire.answer() == (200, b"GET /next ")
        assert len(echo.asked) == 2


@pytest.mark.parametrize(
    "sent",
    [
        b"CONNECT x:80 HTTP/1.1\r\nHost: x\r\n",
        b"CONNECT x:80 HTTP/1.1\r\nHost: x\r\nContent-Length: 38\r\n",
        b"CONNECT /a HTTP/1.1\r\nHost: x\r\n",
        b"POST /a HTTP/1.1\r\nHost: x\r\n" + WEBSOCKET,
        b"GET /a HTTP/1.1\r\nHost: x\r\n" + WEBSOCKET + b"Content-Length: 38\r\n",
        b"GET /a HTTP/1.1\r\nHost: x\r\n" + WEBSOCKET + b"Transfer-Encoding: chunked\r\n",
    ],
)
async def test_what_is_no_request_of_ours_is_refused_once_and_closed(sent: bytes) -> None:
    async with echoing() as (wire, echo, _):
        await wire.send(sent + b"\r\n" + SMUGGLED)
        assert [status for status, _ in await wire.answers()] == [400]
        assert not echo.asked


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


@pytest.mark.parametrize("sent", UNCLEAR.values(), ids=UNCLEAR.keys())
async def test_what_can_be_read_in_two_ways_is_refused_once_and_closed(sent: bytes) -> None:
    async with echoing() as (wire, echo, _):
        await wire.send(sent + SMUGGLED)
        assert [status for status, _ in await wire.answers()] == [400]
        assert not echo.asked


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


@pytest.mark.parametrize("sent", BAD_CHUNKS.values(), ids=BAD_CHUNKS.keys())
async def test_chunks_that_can_be_read_in_two_ways_are_refused_once(sent: bytes) -> None:
    async with echoing() as (wire, echo, _):
        await wire.send(CHUNKED_HEAD + sent)
        await wire.send(SMUGGLED)
        assert [status for status, _ in await wire.answers()] == [400]
        assert not echo.asked


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


@pytest.mark.parametrize("packets", ["one", "two", "behind another request", "many"])
@pytest.mark.parametrize("extra", ["a long field", "many fields", "empty lines"])
async def test_a_head_is_bounded_however_it_is_packed(packets: str, extra: str) -> None:
    request = {
        "a long field": b"GET /a HTTP/1.1\r\nHost: x\r\nA: " + b"b" * 40_000 + b"\r\n\r\n",
        "many fields": b"GET /a HTTP/1.1\r\nHost: x\r\n" + b"a:\r\n" * 129 + b"\r\n",
        "empty lines": b"\r\n" * 20_000 + NEXT,
    }[extra]
    before = NEXT if packets == "behind another request" else b""
    async with echoing() as (wire, echo, _):
        size = {"two": len(request) // 2 + 1, "many": 1000}.get(packets, 10**6)
        sent = before + request
        for start in range(0, len(sent), size):
            await wire.send(sent[start : start + size])
            await asyncio.sleep(0.001)
        assert [status for status, _ in await wire.answers()] == [200] * bool(before) + [431]
        assert len(echo.asked) == bool(before)


async def test_a_large_head_is_taken() -> None:
    async with echoing() as (wire, _, _):
        await wire.send(b"\r\n\r\nGET /a HTTP/1.1\r\nHost: x\r\n" + b"a: b\r\n" * 100)
        await wire.send(b"b: " + b"c" * 30_000 + b"\r\n\r\n" + NEXT)
        assert await wire.answer() == (200, b"GET /a ")
        assert await wire.answer() == (200, b"GET /next ")


@pytest.mark.parametrize(
    ("target", "path", "host"),
    [
        ("http://y/b?c", "/b", b"y"),
        ("http://y:81", "/", b"y:81"),
        ("https://y/", "/", b"y"),
        ("/b", "/b", b"x"),
    ],
)
async def test_the_host_of_an_absolute_target_counts(target: str, path: str, host: bytes) -> None:
    async with echoing() as (wire, echo, _):
        await wire.send(f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert await wire.answer() == (200, f"GET {path} ".encode())
        assert echo.asked[0].headers == [(b"host", host)]
