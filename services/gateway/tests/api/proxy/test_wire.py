"""The proxy as seen from the wire: what a raw socket may do, over both adapters."""

import asyncio
import hashlib

import pytest
from starlette.types import Receive, Scope, Send

from services.gateway.tests.api.proxy.rig import (
    FILE_PATH,
    JSON_PATH,
    Adapter,
    Rig,
    answer,
    gateway,
    read_body,
)
from sharezync_testkit.waiting import GIVE_UP_SECONDS, wait_until

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_request_goes_through_and_back(rig: Rig) -> None:
    answered = await rig.ask("GET", f"{JSON_PATH}?limit=2&cursor=a%20b", "X-Thing: 1")
    assert answered.status == 200
    told = answered.json()
    assert (told["method"], told["path"]) == ("GET", JSON_PATH)
    assert told["query"] == "limit=2&cursor=a%20b"
    assert ["x-thing", "1"] in told["headers"]


async def test_bodies_of_known_and_unknown_length_arrive_whole(rig: Rig) -> None:
    body = bytes(range(256)) * 4096
    plain = await rig.ask("POST", FILE_PATH, f"Content-Length: {len(body)}", body=body)
    pieces = b"".join(
        b"%x\r\n%s\r\n" % (len(body[at : at + 70_000]), body[at : at + 70_000])
        for at in range(0, len(body), 70_000)
    )
    chunked = await rig.ask(
        "POST", FILE_PATH, "Transfer-Encoding: chunked", body=pieces + b"0\r\n\r\n"
    )
    digest = hashlib.sha256(body).hexdigest()
    assert plain.json()["sha256"] == chunked.json()["sha256"] == digest


async def test_content_length_and_transfer_encoding_together_are_refused(rig: Rig) -> None:
    wire = await rig.wire()
    head = rig.request("POST", FILE_PATH, "Content-Length: 4", "Transfer-Encoding: chunked")
    await wire.send(head + "0\r\n\r\n")
    refused = await wire.answer()
    assert refused.status == 400
    assert refused.headers["content-type"] == "application/problem+json"
    assert await wire.closed()
    assert not rig.puppet.seen


@pytest.mark.parametrize(
    "lines",
    [
        ("Content-Length: 3", "Content-Length: 3"),
        ("Content-Length: 3", "Content-Length: 4"),
        ("Content-Length: +3",),
        ("Content-Length: 3, 3",),
        ("Content-Length: 0x3",),
        ("Transfer-Encoding: identity",),
        ("Transfer-Encoding: chunked, identity",),
        ("Transfer-Encoding: chunked", "Transfer-Encoding: chunked"),
        ("Transfer-Encoding : chunked",),
        ("Transfer-Encoding: \x0bchunked",),
        ("Host: other.test",),
        ("Authorization: Bearer x",),
        ("X-Thing: a\r\n folded",),
        ("X-Th\x00ing: a",),
        ("X-Thing: a\x00b",),
    ],
    ids=repr,
)
async def test_heads_that_two_servers_could_read_in_two_ways_are_refused(
    rig: Rig, lines: tuple[str, ...]
) -> None:
    wire = await rig.wire()
    await wire.send(rig.request("POST", FILE_PATH, *lines) + "abc")
    refused = await wire.answer()
    assert refused.status == 400
    assert refused.json()["status"] == 400
    assert await wire.closed()
    assert not rig.puppet.seen
    assert (await rig.ask("GET", JSON_PATH)).status == 200


async def test_a_request_without_host_is_refused(rig: Rig) -> None:
    wire = await rig.wire()
    await wire.send(rig.request("GET", JSON_PATH, host=False))
    assert (await wire.answer()).status == 400


async def test_identity_and_forwarding_fields_of_the_client_never_arrive(rig: Rig) -> None:
    forged = [
        "X-User-Id: 1", "X-Auth-User: root", "X-Internal-Call: yes", "Forwarded: for=1.2.3.4",
        "X-Forwarded-For: 1.2.3.4", "X-Forwarded-User: root", "X-Forwarded-Host: evil.test",
        "X-Forwarded-Proto: https", "X_User_Id: 1", "X-Real-IP: 1.2.3.4", "X-Under_score: 1",
    ]  # fmt: skip
    told = (await rig.ask("GET", JSON_PATH, *forged)).json()
    names = [name for name, _ in told["headers"]]
    for line in forged:
        name = line.partition(":")[0].lower()
        if name in {"x-forwarded-for", "x-forwarded-host", "x-forwarded-proto"}:
            continue
        assert name not in names
    assert rig.puppet.header("x-forwarded-for") == ["127.0.0.1"]
    assert rig.puppet.header("x-forwarded-host") == ["gateway.test"]
    assert rig.puppet.header("x-forwarded-proto") == ["http"]


async def test_connection_names_what_is_not_forwarded_and_nothing_of_ours(rig: Rig) -> None:
    await rig.ask(
        "GET", JSON_PATH,
        "Connection: close, X-Hop, X-Forwarded-For, X-Request-Id, Keep-Alive",
        "X-Hop: 1", "Keep-Alive: timeout=5", "TE: trailers", "Trailer: X-Sum",
        "Proxy-Authorization: Basic eA==", "Upgrade: h2c", "X-Stays: 1",
    )  # fmt: skip
    names = [name.decode() for name, _ in rig.puppet.seen[-1]["headers"]]
    for gone in ("x-hop", "keep-alive", "te", "trailer", "proxy-authorization", "upgrade"):
        assert gone not in names
    assert "x-stays" in names
    assert rig.puppet.header("x-forwarded-for") == ["127.0.0.1"]
    assert len(rig.puppet.header("x-request-id")) == 1


async def test_what_connection_names_in_an_answer_stays_behind(rig: Rig) -> None:
    async def handler(scope: Scope, receive: Receive, send: Send) -> None:
        fields = [
            (b"connection", b"x-hop"), (b"x-hop", b"1"), (b"x-internal-note", b"1"),
            (b"x-stays", b"1"), (b"access-control-allow-origin", b"*"), (b"set-cookie", b"a=1"),
        ]  # fmt: skip
        await answer(send, b"ok", headers=fields)

    rig.puppet.handler = handler
    answered = await rig.ask("GET", JSON_PATH)
    assert answered.headers["x-stays"] == "1"
    assert answered.headers["set-cookie"] == "a=1"
    for gone in ("x-hop", "x-internal-note", "access-control-allow-origin"):
        assert gone not in answered.headers


async def test_a_request_id_is_made_up_or_taken_and_goes_both_ways(rig: Rig) -> None:
    made = await rig.ask("GET", JSON_PATH)
    assert rig.puppet.header("x-request-id") == [made.headers["x-request-id"]]
    taken = await rig.ask("GET", JSON_PATH, "X-Request-Id: from-the-client-1")
    assert taken.headers["x-request-id"] == "from-the-client-1"
    assert rig.puppet.header("x-request-id") == ["from-the-client-1"]
    refused = await rig.ask("GET", JSON_PATH, "X-Request-Id: {bad id}")
    assert refused.headers["x-request-id"] != "{bad id}"


async def test_fields_of_tus_and_of_downloads_pass_both_ways(rig: Rig) -> None:
    async def handler(scope: Scope, receive: Receive, send: Send) -> None:
        fields = [
            (b"upload-offset", b"70"), (b"tus-resumable", b"1.0.0"), (b"etag", b'"x"'),
            (b"content-range", b"bytes 0-1/9"), (b"upload-expires", b"Sat, 21 Nov 2026 17:00 GMT"),
            (b"content-encoding", b"gzip"), (b"location", b"/v1/uploads/7"),
        ]  # fmt: skip
        await answer(send, b"\x1f\x8bnot really", 206, fields)

    rig.puppet.handler = handler
    answered = await rig.ask(
        "PATCH", "/v1/uploads/7", "Upload-Offset: 70", "Tus-Resumable: 1.0.0", "Range: bytes=0-1",
        "Upload-Metadata: filename d29ybGQ=", 'If-None-Match: "x"', "Upload-Checksum: sha1 x",
        "X-HTTP-Method-Override: DELETE", "Accept-Encoding: gzip", "User-Agent: tus",
    )  # fmt: skip
    assert answered.status == 206
    assert answered.body == b"\x1f\x8bnot really"
    for name in ("upload-offset", "tus-resumable", "etag", "content-range", "content-encoding"):
        assert name in answered.headers
    assert answered.headers["location"] == "/v1/uploads/7"
    for name in (
        "upload-offset", "tus-resumable", "range", "upload-metadata", "if-none-match",
        "upload-checksum", "x-http-method-override", "accept-encoding", "user-agent",
    ):  # fmt: skip
        assert rig.puppet.header(name), name


async def test_nothing_is_added_that_the_client_did_not_say(rig: Rig) -> None:
    await rig.ask("GET", JSON_PATH)
    names = {name.decode() for name, _ in rig.puppet.seen[-1]["headers"]}
    ours = {"x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-request-id"}
    assert names == {"host", "authorization", *ours}


async def test_head_tells_the_length_and_sends_nothing(rig: Rig) -> None:
    wire = await rig.wire()
    path = "/v1/files/0/content"
    await wire.send(rig.request("HEAD", path) + rig.request("GET", path))
    head = await wire.answer(method="HEAD")
    assert int(head.headers["content-length"]) > 0
    assert (await wire.answer()).json()["method"] == "GET"


async def test_not_modified_has_no_body_and_the_connection_goes_on(rig: Rig) -> None:
    async def handler(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 304, "headers": [(b"etag", b'"x"')]})
        await send({"type": "http.response.body", "body": b""})

    rig.puppet.handler = handler
    wire = await rig.wire()
    for _ in range(2):
        await wire.send(rig.request("GET", "/v1/files/0/content", 'If-None-Match: "x"'))
        assert (await wire.answer()).status == 304


async def test_redirects_reach_the_client_unfollowed(rig: Rig) -> None:
    async def handler(scope: Scope, receive: Receive, send: Send) -> None:
        await answer(send, status=307, headers=[(b"location", b"https://files.test/x?sig=%2F")])

    rig.puppet.handler = handler
    answered = await rig.ask("GET", "/v1/messages/1/attachments/2")
    assert answered.status == 307
    assert answered.headers["location"] == "https://files.test/x?sig=%2F"
    assert len(rig.puppet.seen) == 1


async def test_an_answer_of_unknown_length_streams(rig: Rig) -> None:
    second = asyncio.Event()

    async def handler(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"first", "more_body": True})
        await second.wait()
        await send({"type": "http.response.body", "body": b"second", "more_body": False})

    rig.puppet.handler = handler
    wire = await rig.wire()
    await wire.send(rig.request("GET", "/v1/files/1/content"))
    _, headers = await wire.head()
    assert headers["transfer-encoding"] == "chunked"
    assert await wire.reader.readexactly(10) == b"5\r\nfirst\r\n"
    second.set()
    assert await wire.reader.readexactly(16) == b"6\r\nsecond\r\n0\r\n\r\n"


async def test_continue_is_said_when_the_service_asks_for_the_body(rig: Rig) -> None:
    may_ask = asyncio.Event()

    async def handler(scope: Scope, receive: Receive, send: Send) -> None:
        await may_ask.wait()
        await rig.puppet.echo(scope, receive, send)

    rig.puppet.handler = handler
    wire = await rig.wire()
    await wire.send(rig.request("POST", FILE_PATH, "Content-Length: 5", "Expect: 100-continue"))
    await wait_until(lambda: rig.puppet.seen)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await wire.reader.read(1)
    may_ask.set()
    assert (await wire.head())[0] == 100
    await wire.send("hello")
    assert (await wire.answer()).json()["size"] == 5


async def test_a_refusal_comes_instead_of_continue_and_ends_the_connection(rig: Rig) -> None:
    async def handler(scope: Scope, receive: Receive, send: Send) -> None:
        await answer(send, b"no", 413)

    rig.puppet.handler = handler
    wire = await rig.wire()
    await wire.send(rig.request("POST", FILE_PATH, "Content-Length: 5", "Expect: 100-continue"))
    refused = await wire.answer()
    assert (refused.status, refused.headers["connection"]) == (413, "close")
    assert await wire.closed()


async def test_our_own_refusal_comes_instead_of_continue_and_ends_the_connection(rig: Rig) -> None:
    wire = await rig.wire()
    await wire.send(
        "POST /v1/uploads HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"
    )
    refused = await wire.answer()
    assert (refused.status, refused.headers["connection"]) == (401, "close")
    assert await wire.closed()


async def test_an_early_answer_reaches_a_client_that_is_still_sending(rig: Rig) -> None:
    async def handler(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await answer(send, b"enough", 413)

    rig.puppet.handler = handler
    wire = await rig.wire()
    await wire.send(rig.request("POST", FILE_PATH, "Content-Length: 100000000") + "x" * 1000)
    refused = await wire.answer()
    assert (refused.status, refused.body) == (413, b"enough")
    await wire.send(b"x" * 1000)  # and it may go on sending: nobody resets the connection
    assert (await rig.ask("GET", JSON_PATH)).status == 413


async def test_leaving_in_mid_upload_is_told_to_the_service(rig: Rig) -> None:
    ended: asyncio.Future[bytes | None] = asyncio.get_running_loop().create_future()

    async def handler(scope: Scope, receive: Receive, send: Send) -> None:
        ended.set_result(await read_body(receive))

    rig.puppet.handler = handler
    wire = await rig.wire()
    await wire.send(rig.request("POST", FILE_PATH, "Content-Length: 1000000") + "x" * 100_000)
    await wait_until(lambda: rig.puppet.seen)
    wire.writer.close()
    async with asyncio.timeout(GIVE_UP_SECONDS):
        assert await ended is None


async def test_leaving_in_mid_chunked_upload_is_told_to_the_service(rig: Rig) -> None:
    ended: asyncio.Future[bytes | None] = asyncio.get_running_loop().create_future()

    async def handler(scope: Scope, receive: Receive, send: Send) -> None:
        ended.set_result(await read_body(receive))

    rig.puppet.handler = handler
    wire = await rig.wire()
    await wire.send(rig.request("POST", FILE_PATH, "Transfer-Encoding: chunked") + "5\r\nhello\r\n")
    await wait_until(lambda: rig.puppet.seen)
    wire.writer.close()
    async with asyncio.timeout(GIVE_UP_SECONDS):
        assert await ended is None


@pytest.mark.parametrize("half", [True, False])
async def test_leaving_while_the_service_thinks_is_told_to_it(rig: Rig, half: bool) -> None:
    left = asyncio.Event()

    async def handler(scope: Scope, receive: Receive, send: Send) -> None:
        await read_body(receive)
        if (await receive())["type"] == "http.disconnect":
            left.set()

    rig.puppet.handler = handler
    wire = await rig.wire()
    await wire.send(rig.request("POST", JSON_PATH, "Content-Length: 2") + "{}")
    await wait_until(lambda: rig.puppet.seen)
    # A half-closed connection counts as left, as with most servers: nobody can tell the two apart.
    wire.writer.write_eof() if half else wire.writer.close()
    async with asyncio.timeout(GIVE_UP_SECONDS):
        await left.wait()


async def test_leaving_in_mid_download_is_told_to_the_service(rig: Rig) -> None:
    left = asyncio.Event()

    async def handler(scope: Scope, receive: Receive, send: Send) -> None:
        await read_body(receive)
        watch = asyncio.ensure_future(receive())
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while not watch.done():
            await send({"type": "http.response.body", "body": b"x" * 65536, "more_body": True})
            await asyncio.sleep(0)
        assert watch.result()["type"] == "http.disconnect"
        left.set()

    rig.puppet.handler = handler
    wire = await rig.wire()
    await wire.send(rig.request("GET", "/v1/files/0/content"))
    await wire.head()
    await wire.reader.readexactly(100_000)
    wire.writer.close()
    async with asyncio.timeout(GIVE_UP_SECONDS):
        await left.wait()


async def test_pipelined_requests_are_answered_in_order(rig: Rig) -> None:
    wire = await rig.wire()
    heads = [rig.request("GET", f"{JSON_PATH}?n={n}") for n in range(3)]
    await wire.send("".join(heads))
    assert [(await wire.answer()).json()["query"] for _ in range(3)] == ["n=0", "n=1", "n=2"]


async def test_old_clients_are_served_and_let_go(rig: Rig) -> None:
    wire = await rig.wire()
    await wire.send(rig.request("GET", JSON_PATH, host=False).replace("HTTP/1.1", "HTTP/1.0"))
    answered = await wire.answer()
    assert answered.status == 200
    assert await wire.closed()


@pytest.mark.parametrize("public_url", ["https://chat.example.com/api/", "http://[::1]:8000"])
async def test_a_location_is_absolute_where_the_public_address_is_known(
    adapter: Adapter, public_url: str
) -> None:
    places = [b"/v1/uploads/7", b"https://files.test/x?sig=%2F"]

    async def created(scope: Scope, receive: Receive, send: Send) -> None:
        await answer(send, status=201, headers=[(b"location", places.pop(0))])

    async with gateway(adapter, public_url=public_url) as rig:
        rig.puppet.handler = created
        answers = [await rig.ask("POST", JSON_PATH) for _ in range(2)]
    told = [answered.headers["location"] for answered in answers]
    assert told == [public_url.rstrip("/") + "/v1/uploads/7", "https://files.test/x?sig=%2F"]
