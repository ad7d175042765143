"""What only a service in another process can do: the way to it over HTTP."""

import asyncio
import contextlib
import itertools
import os
from contextlib import AsyncExitStack

import pytest
from starlette.types import Receive, Scope, Send

from services.gateway.tests.api.proxy.rig import (
    JSON_PATH,
    Puppet,
    Rig,
    answer,
    gateway,
    until_left,
    upstreams_to,
)
from services.gateway.tests.api.proxy.upstream_ends import Collected, request
from sharezync_gateway.errors import BrokenAnswer, Unreachable
from sharezync_gateway.proxy.http import HttpUpstream
from sharezync_shared.ids import uuid7
from sharezync_testkit.serving import serving
from sharezync_testkit.waiting import GIVE_UP_SECONDS

CONTENT_PATH = f"/v1/files/{uuid7()}/content"

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_service_that_is_away_is_unreachable() -> None:
    with_nobody = await asyncio.start_server(lambda _, __: None, "127.0.0.1", 0)
    port = with_nobody.sockets[0].getsockname()[1]
    with_nobody.close()
    await with_nobody.wait_closed()
    upstream = HttpUpstream(f"http://127.0.0.1:{port}")
    await upstream.start()
    try:
        with pytest.raises(Unreachable) as refused:
            await upstream.forward(request(), Collected())
    finally:
        await upstream.aclose()
    assert refused.value.status == 503
    assert "Retry-After" in refused.value.headers


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("left", [1, 0], ids=["in the budget", "over it"])
async def test_what_nobody_has_seen_is_sent_again_within_the_budget(
    method: str, left: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sharezync_shared.calls.connector._FLOOR_PER_SECOND", float(left))
    reached = left == 1
    monkeypatch.setattr("sharezync_gateway.proxy.http._RETRY_AFTER_SECONDS", 0.5)
    requests = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal requests
        await reader.readuntil(b"\r\n\r\n")
        requests += 1
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    upstream = HttpUpstream(f"http://127.0.0.1:{port}")
    await upstream.start()
    collected = Collected()
    forwarding = asyncio.create_task(upstream.forward(request(method=method), collected))
    await asyncio.sleep(0.1)  # the first attempt has failed by now, the second is half a second off
    server = await asyncio.start_server(serve, "127.0.0.1", port)
    (outcome,) = await asyncio.gather(forwarding, return_exceptions=True)
    await upstream.aclose()
    server.close()
    assert (requests == 1) is reached
    assert isinstance(outcome, Unreachable) is not reached


@pytest.mark.parametrize(
    "said",
    [b"", b"HTTP/1.1 banana\r\n\r\n", b"SSH-2.0-OpenSSH\r\n", b"HTTP/1.1 200 OK\r\nContent-Le"],
)
async def test_what_is_no_answer_is_a_broken_one(said: bytes) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(said)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    upstream = HttpUpstream(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    await upstream.start()
    try:
        with pytest.raises(BrokenAnswer):
            await upstream.forward(request(method="POST"), Collected())
    finally:
        await upstream.aclose()
        server.close()


async def test_cookies_are_not_kept_from_one_request_to_the_next() -> None:
    async def handler(scope: Scope, receive: Receive, send: Send) -> None:
        await answer(send, headers=[(b"set-cookie", b"a=1; Path=/")])

    puppet = Puppet(handler)
    async with serving(puppet) as served:
        upstream = HttpUpstream(f"http://localhost:{served.port}")  # addresses have no cookies
        await upstream.start()
        for _ in range(2):
            await upstream.forward(request(), Collected())
        await upstream.aclose()
    assert not [name for name, _ in puppet.seen[1]["headers"] if name == b"cookie"]


async def test_a_location_with_the_services_own_address_becomes_a_path() -> None:
    async with AsyncExitStack() as stack:
        puppet = Puppet()
        upstream = (await upstreams_to(puppet, "http", stack))()
        assert isinstance(upstream, HttpUpstream)
        await upstream.start()
        stack.push_async_callback(upstream.aclose)

        async def handler(scope: Scope, receive: Receive, send: Send) -> None:
            own = dict(scope["headers"])[b"host"]
            await answer(send, b"", 201, [(b"location", b"http://" + own + b"/v1/uploads/7")])

        puppet.handler = handler
        collected = Collected()
        await upstream.forward(request(), collected)
        fields = {name.lower(): value for name, value in collected.messages[0]["headers"]}
        assert fields[b"location"] == b"/v1/uploads/7"


LARGE = os.urandom(5 * 1024 * 1024)


async def send_large(scope: Scope, receive: Receive, send: Send) -> None:
    await answer(send, LARGE)


async def test_a_large_answer_goes_from_socket_to_socket() -> None:
    async with gateway("http", puppet=Puppet(send_large)) as rig:
        wire = await rig.wire()
        for _ in range(2):  # of one connection
            await wire.send(rig.request("GET", CONTENT_PATH))
            assert (await wire.answer()).body == LARGE
        assert (await rig.ask("HEAD", CONTENT_PATH)).headers["content-length"] == str(len(LARGE))


async def test_a_reader_of_a_large_answer_who_pauses_makes_the_gateway_hold_nothing() -> None:
    async with gateway("http", puppet=Puppet(send_large)) as rig:
        wire = await rig.wire()
        await wire.send(rig.request("GET", CONTENT_PATH))
        await wire.head()
        await asyncio.sleep(0.3)
        (connection,) = rig.served.server.server_state.connections
        assert connection.transport.get_write_buffer_size() == 0
        assert await wire.reader.readexactly(len(LARGE)) == LARGE


async def test_a_large_answer_that_breaks_off_is_broken_off() -> None:
    async def break_off(scope: Scope, receive: Receive, send: Send) -> None:
        fields = [(b"content-length", b"%d" % len(LARGE))]
        await send({"type": "http.response.start", "status": 200, "headers": fields})
        await send({"type": "http.response.body", "body": LARGE[: 3 * 1024 * 1024]})

    async with gateway("http", puppet=Puppet(break_off)) as rig:
        wire = await rig.wire()
        await wire.send(rig.request("GET", CONTENT_PATH))
        await wire.head()
        with pytest.raises(asyncio.IncompleteReadError) as short:
            await wire.reader.readexactly(len(LARGE))
        assert LARGE.startswith(short.value.partial)


async def test_a_service_hears_that_the_reader_of_a_large_answer_has_left() -> None:
    left = asyncio.Event()

    async def send_and_wait(scope: Scope, receive: Receive, send: Send) -> None:
        fields = [(b"content-length", b"%d" % (20 * len(LARGE)))]
        await send({"type": "http.response.start", "status": 200, "headers": fields})
        for _ in range(19):
            await send({"type": "http.response.body", "body": LARGE, "more_body": True})
        await until_left(receive)
        left.set()

    async with gateway("http", puppet=Puppet(send_and_wait)) as rig:
        wire = await rig.wire()
        await wire.send(rig.request("GET", CONTENT_PATH))
        await wire.reader.readexactly(len(LARGE))
        wire.writer.transport.abort()
        async with asyncio.timeout(GIVE_UP_SECONDS):
            await left.wait()
        labels = {"service": "storage"}
        assert rig.registry.get_sample_value("sharezync_breaker_state", labels) == 0


async def test_a_service_that_falls_silent_in_a_large_answer_is_given_up() -> None:
    async def stall(scope: Scope, receive: Receive, send: Send) -> None:
        fields = [(b"content-length", b"%d" % (2 * len(LARGE)))]
        await send({"type": "http.response.start", "status": 200, "headers": fields})
        await send({"type": "http.response.body", "body": LARGE, "more_body": True})
        await until_left(receive)

    async with gateway("http", puppet=Puppet(stall), upstream_bytes_timeout_seconds=0.3) as rig:
        wire = await rig.wire()
        await wire.send(rig.request("GET", CONTENT_PATH))
        await wire.head()
        assert await wire.reader.readexactly(len(LARGE)) == LARGE
        assert await wire.closed()


async def test_a_replica_that_is_new_gets_its_share() -> None:
    """As behind a balancer: it chooses for each connection, in turn."""
    async with AsyncExitStack() as stack:
        replicas = [Puppet(), Puppet()]
        ports = [(await stack.enter_async_context(serving(each))).port for each in replicas]
        there = ports[:1]
        turns = itertools.count()

        async def balance(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            port = there[next(turns) % len(there)]
            back, forth = await asyncio.open_connection("127.0.0.1", port)
            await asyncio.gather(pump(reader, forth), pump(back, writer))

        async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
            while piece := await source.read(65536):
                sink.write(piece)
            sink.close()

        balancer = await asyncio.start_server(balance, "127.0.0.1", 0)
        address = f"http://127.0.0.1:{balancer.sockets[0].getsockname()[1]}"
        upstream = HttpUpstream(address, max_age_seconds=0.3)
        await upstream.start()
        stack.push_async_callback(upstream.aclose)
        for _ in range(20):
            await upstream.forward(request(), Collected())
        assert not replicas[1].seen
        there.append(ports[1])
        async with asyncio.timeout(GIVE_UP_SECONDS):
            while not replicas[1].seen:
                await upstream.forward(request(), Collected())
                await asyncio.sleep(0.01)
        balancer.close()


async def test_a_service_that_does_not_answer_is_left_alone_and_found_again() -> None:
    async with gateway("http", upstream_connect_timeout_seconds=0.2) as rig:
        served = rig.upstream_served
        assert served is not None
        port = served.port
        await served.stop()
        for _ in range(5):
            refused = await rig.ask("GET", JSON_PATH)
            assert (refused.status, refused.json()["code"]) == (503, "unavailable")
        ready = (await rig.client.get("/ready")).json()
        assert ready["ready"] is True, "the other services are as useful as before"
        assert ready["status"] == "degraded"
        assert ready["dependencies"]["chat"] == {
            "status": "down",
            "degraded": "What chat serves is refused with 503",
            "detail": "the circuit breaker is open",
        }
        assert ready["dependencies"]["auth"] == {"status": "up"}
        refused = await rig.ask("GET", JSON_PATH)
        assert refused.json()["detail"] == "The service is temporarily unavailable"
        assert int(refused.headers["retry-after"]) >= 1
        labels = {"service": "chat"}
        assert rig.registry.get_sample_value("sharezync_breaker_state", labels) == 2
        server = await asyncio.start_server(say_hello, "127.0.0.1", port)
        await wait_for_answer(rig)
        assert (await rig.client.get("/ready")).json()["status"] == "ok"
        server.close()


async def say_hello(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(asyncio.IncompleteReadError):
        while True:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    writer.close()


async def wait_for_answer(rig: Rig) -> None:
    async with asyncio.timeout(GIVE_UP_SECONDS):
        while (await rig.ask("GET", JSON_PATH)).status != 200:  # noqa: ASYNC110 - it asks
            await asyncio.sleep(0.05)
