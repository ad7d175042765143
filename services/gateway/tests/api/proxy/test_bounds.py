"""What one peer may cost, and what is said when a bound is met: over both adapters."""

import asyncio
from collections.abc import AsyncGenerator

import psutil
import pytest
import pytest_asyncio
from starlette.types import Receive, Scope, Send

from services.gateway.tests.api.proxy.rig import (
    FILE_PATH,
    JSON_PATH,
    Adapter,
    Rig,
    answer,
    gateway,
    read_body,
    until_left,
)
from sharezync_testkit.waiting import GIVE_UP_SECONDS, wait_until

pytestmark = pytest.mark.asyncio(loop_scope="module")

JSON_LIMIT = 1000
DOWNLOAD_PATH = "/v1/files/0/content"
MIB = 1024 * 1024


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def rig_of_module(adapter: Adapter) -> AsyncGenerator[Rig]:
    async with gateway(
        adapter,
        max_json_body_bytes=JSON_LIMIT,
        client_idle_seconds=0.3,
        upstream_timeout_seconds=0.3,
        upstream_bytes_timeout_seconds=0.6,
    ) as made:
        yield made


async def test_a_body_that_announces_too_much_is_refused_before_it_comes(rig: Rig) -> None:
    wire = await rig.wire()
    await wire.send(rig.request("POST", JSON_PATH, f"Content-Length: {JSON_LIMIT + 1}"))
    refused = await wire.answer()
    assert (refused.status, refused.json()["code"]) == (413, "too-large")
    assert refused.json()["limit_bytes"] == JSON_LIMIT
    assert refused.json()["request_id"] == refused.headers["x-request-id"]
    assert not rig.puppet.seen


async def test_a_body_of_the_greatest_size_is_let_through(rig: Rig) -> None:
    body = b"x" * JSON_LIMIT
    answered = await rig.ask("POST", JSON_PATH, f"Content-Length: {JSON_LIMIT}", body=body)
    assert answered.json()["size"] == JSON_LIMIT


async def test_a_chunked_body_is_refused_where_it_grows_too_large(rig: Rig) -> None:
    wire = await rig.wire()
    head = rig.request("POST", JSON_PATH, "Transfer-Encoding: chunked")
    await wire.send(head + f"{JSON_LIMIT:x}\r\n{'x' * JSON_LIMIT}\r\n")
    await wire.send("1\r\nx\r\n")
    refused = await wire.answer()
    assert (refused.status, refused.json()["code"]) == (413, "too-large")
    assert not rig.puppet.seen, "the service must not take the part for the whole"


async def test_files_have_no_limit_here(rig: Rig) -> None:
    body = b"x" * (JSON_LIMIT * 100)
    answered = await rig.ask("POST", FILE_PATH, f"Content-Length: {len(body)}", body=body)
    assert answered.json()["size"] == len(body)


@pytest.mark.parametrize("length", [10, 1_000_000], ids=["small", "large"])
async def test_a_body_that_stops_coming_is_given_up(rig: Rig, length: int) -> None:
    wire = await rig.wire()
    await wire.send(rig.request("POST", FILE_PATH, f"Content-Length: {length}") + "x" * 5)
    refused = await wire.answer()
    assert (refused.status, refused.json()["code"]) == (408, "request-timeout")


async def test_a_slow_body_that_keeps_coming_is_waited_for(rig: Rig) -> None:
    wire = await rig.wire()
    await wire.send(rig.request("POST", FILE_PATH, "Content-Length: 100000") + "x" * 99_990)
    for _ in range(10):  # together longer than any bound here
        await asyncio.sleep(0.1)
        await wire.send("x")
    assert (await wire.answer()).json()["size"] == 100_000


async def test_a_service_that_says_nothing_is_not_waited_for(rig: Rig) -> None:
    async def handler(scope: Scope, receive: Receive, send: Send) -> None:
        await until_left(receive)

    rig.puppet.handler = handler
    refused = await rig.ask("GET", JSON_PATH)
    assert (refused.status, refused.json()["code"]) == (504, "upstream-timeout")
    assert refused.json()["request_id"] == refused.headers["x-request-id"]


async def test_a_service_that_never_asks_for_the_body_is_not_waited_for(rig: Rig) -> None:
    over = asyncio.Event()

    async def handler(scope: Scope, receive: Receive, send: Send) -> None:
        await over.wait()

    rig.puppet.handler = handler
    head = rig.request("POST", FILE_PATH, "Content-Length: 5", "Expect: 100-continue")
    wire = await rig.wire()
    await wire.send(head)
    assert (await wire.answer()).status == 504
    over.set()


async def test_each_class_has_its_own_patience(rig: Rig) -> None:
    async def handler(scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.sleep(0.45)
        await answer(send, b"at last")

    rig.puppet.handler = handler
    assert (await rig.ask("GET", JSON_PATH)).status == 504
    assert (await rig.ask("GET", DOWNLOAD_PATH)).body == b"at last"


async def test_an_answer_that_stops_in_the_middle_breaks_the_connection(rig: Rig) -> None:
    async def handler(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"part", "more_body": True})
        await until_left(receive)

    rig.puppet.handler = handler
    wire = await rig.wire()
    await wire.send(rig.request("GET", DOWNLOAD_PATH))
    await wire.head()
    async with asyncio.timeout(GIVE_UP_SECONDS):
        assert await wire.reader.read() == b"4\r\npart\r\n", "no end may be said: it is not whole"


async def test_a_service_that_breaks_off_before_answering_is_a_bad_gateway(rig: Rig) -> None:
    async def handler(scope: Scope, receive: Receive, send: Send) -> None:
        raise RuntimeError("planted")

    rig.puppet.handler = handler
    refused = await rig.ask("POST", JSON_PATH, "Content-Length: 0")
    # A server tells of a crash as 500; an application called directly has nobody to do so.
    assert refused.status in {500, 502}
    assert "planted" not in refused.body.decode()


async def test_a_service_that_breaks_off_in_the_middle_breaks_the_connection(rig: Rig) -> None:
    async def handler(scope: Scope, receive: Receive, send: Send) -> None:
        fields = [(b"content-length", b"100000")]
        await send({"type": "http.response.start", "status": 200, "headers": fields})
        await send({"type": "http.response.body", "body": b"x" * 50_000, "more_body": True})
        raise RuntimeError("planted")

    rig.puppet.handler = handler
    wire = await rig.wire()
    await wire.send(rig.request("GET", DOWNLOAD_PATH))
    status, headers = await wire.head()
    assert (status, headers["content-length"]) == (200, "100000")
    async with asyncio.timeout(GIVE_UP_SECONDS):
        assert len(await wire.reader.read()) <= 50_000


async def test_a_large_upload_streams_in_bounded_memory(rig: Rig) -> None:
    total = 96 * MIB
    seen = 0

    async def handler(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal seen
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            seen += len(message.get("body", b""))
            if not message.get("more_body"):
                break
        await answer(send, str(seen).encode())

    rig.puppet.handler = handler
    before = _resident_bytes()
    wire = await rig.wire()
    await wire.send(rig.request("PATCH", "/v1/uploads/1", f"Content-Length: {total}"))
    piece = b"x" * MIB
    peak = 0
    for _ in range(total // MIB):
        await wire.send(piece)
        peak = max(peak, _resident_bytes())
    assert (await wire.answer()).body == str(total).encode()
    assert peak - before < 24 * MIB


async def test_a_large_download_streams_in_bounded_memory(rig: Rig) -> None:
    total = 96 * MIB

    async def handler(scope: Scope, receive: Receive, send: Send) -> None:
        fields = [(b"content-length", str(total).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": fields})
        piece = b"x" * (256 * 1024)
        for _ in range(total // len(piece)):
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    rig.puppet.handler = handler
    before = _resident_bytes()
    wire = await rig.wire()
    await wire.send(rig.request("GET", DOWNLOAD_PATH))
    await wire.head()
    peak = received = 0
    while received < total:
        received += len(await wire.reader.read(MIB))
        peak = max(peak, _resident_bytes())
    assert received == total
    assert peak - before < 24 * MIB


async def test_a_reader_that_does_not_read_is_dropped_and_costs_little(rig: Rig) -> None:
    written = 0
    left = asyncio.Event()

    async def handler(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal written
        await read_body(receive)
        watch = asyncio.ensure_future(receive())
        await send({"type": "http.response.start", "status": 200, "headers": []})
        piece = b"x" * 65536
        sending = asyncio.create_task(_send_for_ever(send, piece))
        done, _ = await asyncio.wait({watch, sending}, return_when=asyncio.FIRST_COMPLETED)
        sending.cancel()
        watch.cancel()
        written = _pieces_sent * len(piece)
        if watch in done or isinstance(sending.exception(), OSError):
            left.set()

    _pieces_sent = 0

    async def _send_for_ever(send: Send, piece: bytes) -> None:
        nonlocal _pieces_sent
        while True:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
            _pieces_sent += 1
            await asyncio.sleep(0)  # uvicorn's send doesn't wait at all once the client has left

    rig.puppet.handler = handler
    before = len(rig.served.server.server_state.connections)
    wire = await rig.wire()
    await wire.send(rig.request("GET", DOWNLOAD_PATH))
    await wire.head()
    async with asyncio.timeout(GIVE_UP_SECONDS):
        await left.wait()
    assert written < 32 * MIB  # what the kernel's buffers take on the way
    await wait_until(lambda: len(rig.served.server.server_state.connections) <= before)


async def test_an_endless_head_is_cut_off(rig: Rig) -> None:
    wire = await rig.wire()
    await wire.send("GET / HTTP/1.1\r\nX-Long: " + "x" * 100_000)
    assert (await wire.answer()).status == 431
    assert await wire.closed()


async def test_a_body_that_nobody_waits_for_may_not_trickle_for_ever(adapter: Adapter) -> None:
    async with gateway(adapter, server={"linger_seconds": 0.2}) as rig:
        wire = await rig.wire()
        await wire.send("POST /v1/uploads HTTP/1.1\r\nHost: x\r\nContent-Length: 9999\r\n\r\nx")
        assert (await wire.answer()).status == 401
        assert await wire.closed()


async def test_a_body_that_comes_after_its_answer_leaves_the_connection_usable(
    adapter: Adapter,
) -> None:
    async with gateway(adapter, server={"linger_seconds": 1}) as rig:
        wire = await rig.wire()
        await wire.send("POST /v1/uploads HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nx")
        assert (await wire.answer()).status == 401
        await wire.send("yyy")
        await asyncio.sleep(1.2)  # longer than it may linger, which it no longer does
        await wire.send(rig.request("GET", JSON_PATH))
        assert (await wire.answer()).status == 200


def _resident_bytes() -> int:
    return int(psutil.Process().memory_info().rss)
