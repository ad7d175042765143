"""Nobody takes what all need: places at a service, memory, and time. Over both adapters."""

import asyncio
import struct
from collections.abc import AsyncGenerator

import pytest
import pytest_asyncio
from starlette.types import Receive, Scope, Send

from services.gateway.tests.api.proxy.rig import FILE_PATH, JSON_PATH, Adapter, Rig, answer, gateway
from sharezync_gateway.proxy.bulkhead import Quota
from sharezync_shared.ids import UserId, uuid7
from sharezync_testkit.waiting import wait_until

pytestmark = pytest.mark.asyncio(loop_scope="module")

PLACES = 8
OF_ONE = 3
LARGE = 300_000


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def rig_of_module(adapter: Adapter) -> AsyncGenerator[Rig]:
    async with gateway(
        adapter,
        upstream_connections=2 * PLACES,
        upstream_requests_per_caller=OF_ONE,
        upstream_queue_seconds=0.3,
        trusted_proxies="127.0.0.0/8",
        client_body_seconds=2,
        client_idle_seconds=20,
    ) as made:
        yield made


class Busy:
    """A service that works at a request until it is told to end."""

    def __init__(self) -> None:
        self.over = asyncio.Event()
        self.under_way = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.under_way += 1
        try:
            await self.over.wait()
        finally:
            self.under_way -= 1
        await answer(send, b"at last")


def as_user(rig: Rig, user_id: UserId | None = None) -> str:
    """Return a whole request's head of one user, without the empty line."""
    return f"Host: gateway.test\r\nAuthorization: Bearer {rig.token(user_id)}\r\n"


async def test_bodies_that_trickle_hold_no_place(rig: Rig) -> None:
    """The case from the field: 560 chunked POST /token, a byte every 20 s."""
    head = "POST /token HTTP/1.1\r\nHost: gateway.test\r\nTransfer-Encoding: chunked\r\n\r\n"
    wires = [await rig.wire() for _ in range(5 * PLACES)]
    for wire in wires:
        await wire.send(head + "1\r\ng\r\n")
    await asyncio.sleep(0.2)
    assert not rig.puppet.seen, "the service hears of a small body when it is here"
    body = b"grant_type=password&username=ada&password=secret"
    login = await rig.client.post("/token", content=body)
    assert login.status_code == 200
    refused = [await wire.answer() for wire in wires]
    assert {(each.status, each.json()["code"]) for each in refused} == {(408, "request-timeout")}
    assert [scope["path"] for scope in rig.puppet.seen] == ["/token"]


async def test_a_byte_now_and_then_does_not_lengthen_the_time(rig: Rig) -> None:
    wire = await rig.wire()
    await wire.send(rig.request("POST", JSON_PATH, "Content-Length: 1000"))
    refused = asyncio.create_task(wire.answer())
    while not refused.done():
        await wire.send("x")
        await asyncio.sleep(0.05)
    assert (await refused).status == 408


@pytest.mark.parametrize("framing", ["length", "chunked", "continue"])
async def test_a_body_that_comes_in_pieces_arrives_whole(rig: Rig, framing: str) -> None:
    wire = await rig.wire()
    field = "Transfer-Encoding: chunked" if framing == "chunked" else "Content-Length: 6"
    more = ["Expect: 100-continue"] if framing == "continue" else []
    await wire.send(rig.request("POST", JSON_PATH, field, *more))
    if framing == "continue":
        assert (await wire.head())[0] == 100
    for piece in ("abc", "def"):
        await asyncio.sleep(0.05)
        await wire.send(f"3\r\n{piece}\r\n" if framing == "chunked" else piece)
    if framing == "chunked":
        await wire.send("0\r\n\r\n")
    assert (await wire.answer()).json()["size"] == 6
    assert rig.puppet.header("content-length") == ["6"]
    assert rig.puppet.header("expect") == []


async def test_empty_bodies_at_a_time_leave_their_connections_open(rig: Rig) -> None:
    busy = rig.puppet.handler = Busy()
    wires = [await rig.wire() for _ in range(2)]
    head = f"POST {JSON_PATH} HTTP/1.1\r\n{as_user(rig, UserId(uuid7()))}"
    empty = f"{head}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    for wire in wires:
        await wire.send(empty)
    await wait_until(lambda: busy.under_way == len(wires))
    busy.over.set()
    for wire in wires:
        assert (await wire.answer()).status == 200
        await wire.send(empty)
        assert (await wire.answer()).status == 200


async def test_one_user_cannot_take_all_places(rig: Rig) -> None:
    busy = rig.puppet.handler = Busy()
    greedy = as_user(rig, UserId(uuid7()))
    wires = [await rig.wire() for _ in range(2 * PLACES)]
    for wire in wires:
        await wire.send(f"GET {JSON_PATH} HTTP/1.1\r\n{greedy}\r\n")
    await wait_until(lambda: busy.under_way == OF_ONE)
    refused = await wires[-1].answer()
    assert (refused.status, refused.json()["code"]) == (503, "unavailable")
    assert refused.headers["retry-after"]
    assert busy.under_way == OF_ONE
    rig.puppet.handler = None
    assert (await rig.client.get(JSON_PATH, headers=rig.bearer())).status_code == 200
    busy.over.set()
    answers = [await wire.answer() for wire in wires[:-1]]
    assert answers[0].body == b"at last"


@pytest.mark.parametrize("address", ["203.0.113.7", "2001:db8:0:1::{n}"])
async def test_one_address_cannot_take_all_places(rig: Rig, address: str) -> None:
    """Nor can one IPv6 network, of whose addresses each request may have another."""
    busy = rig.puppet.handler = Busy()
    wires = [await rig.wire() for _ in range(2 * PLACES)]
    for n, wire in enumerate(wires):
        client = f"X-Forwarded-For: {address.format(n=n)}\r\n"
        await wire.send(f"GET /v1/links/abc HTTP/1.1\r\nHost: gateway.test\r\n{client}\r\n")
    assert (await wires[-1].answer()).status == 503
    assert busy.under_way == OF_ONE, "they are counted as one caller"
    rig.puppet.handler = None
    assert (await rig.client.get(JSON_PATH, headers=rig.bearer())).status_code == 200
    busy.over.set()
    for wire in wires[:-1]:  # nobody is left in the queue to meet the next test
        await wire.answer()


async def test_uploads_that_last_leave_room_for_what_is_short(rig: Rig) -> None:
    def uploads() -> int:
        return sum(scope["path"] == FILE_PATH for scope in rig.puppet.seen)

    wires = [await rig.wire() for _ in range(2 * PLACES)]
    for wire in wires:
        head = f"POST {FILE_PATH} HTTP/1.1\r\n{as_user(rig)}Content-Length: 100000\r\n\r\n"
        await wire.send(head + "x")
    await wait_until(lambda: uploads() == PLACES)
    refused = await wires[-1].answer()
    assert (refused.status, refused.json()["code"]) == (503, "unavailable")
    assert (await rig.client.get(JSON_PATH, headers=rig.bearer())).status_code == 200
    assert uploads() == PLACES


async def test_readers_who_crawl_hold_no_place(rig: Rig) -> None:
    served = 0

    async def handler(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal served
        await answer(send, b"x" * LARGE)
        served += 1

    rig.puppet.handler = handler
    for _ in range(3 * PLACES):
        wire = await rig.wire()
        # As little as the kernel allows: nearly all of the answer must wait with us.
        wire.writer.get_extra_info("socket").setsockopt(1, 8, struct.pack("i", 1))
        wire.reader._transport.pause_reading()  # type: ignore[attr-defined]
        await wire.send(f"GET {JSON_PATH} HTTP/1.1\r\n{as_user(rig)}\r\n")
    rig_answers = [await rig.client.get(JSON_PATH, headers=rig.bearer()) for _ in range(PLACES)]
    assert {len(each.content) for each in rig_answers} == {LARGE}


@pytest.mark.parametrize("way", ["up", "down"])
async def test_a_few_who_crawl_keep_nobody_from_moving_bytes(rig: Rig, way: str) -> None:
    """The case from the field: four accounts, 64 uploads or downloads each, a byte now and then."""

    async def endless(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] == "GET":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            for _ in range(100):  # an answer that came whole from the service has no place
                await send({"type": "http.response.body", "body": b"x" * LARGE, "more_body": True})
            await send({"type": "http.response.body"})
        else:
            while (await receive()).get("more_body"):
                pass
            await answer(send, b"taken")

    rig.puppet.handler = endless
    crawling = [UserId(uuid7()) for _ in range(PLACES // OF_ONE + 1)]
    wires = []
    for user_id in crawling * OF_ONE:
        wire = await rig.wire()
        wires.append(wire)
        if way == "up":
            length = f"Content-Length: {LARGE}\r\n"
            await wire.send(f"POST {FILE_PATH} HTTP/1.1\r\n{as_user(rig, user_id)}{length}\r\nx")
        else:
            wire.writer.get_extra_info("socket").setsockopt(1, 8, struct.pack("i", 1))
            wire.reader._transport.pause_reading()  # type: ignore[attr-defined]
            path = f"/v1/files/{uuid7()}/content"
            await wire.send(f"GET {path} HTTP/1.1\r\n{as_user(rig, user_id)}\r\n")
    await wait_until(lambda: len(rig.puppet.seen) >= PLACES)
    for _ in range(PLACES):
        taken = await rig.client.post(FILE_PATH, content=b"y" * LARGE, headers=rig.bearer())
        assert (taken.status_code, taken.content) == (200, b"taken")


async def test_bodies_that_wait_in_memory_are_bounded(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    held: list[bool] = []
    take = Quota.reserve

    def counted(quota: Quota, caller: str, amount: int = 1) -> bool:
        taken = take(quota, caller, amount)
        if amount > 1000:
            held.append(taken)
        return taken

    monkeypatch.setattr(Quota, "reserve", counted)
    greedy = as_user(rig, UserId(uuid7()))
    wires = [await rig.wire() for _ in range(12)]
    for wire in wires:
        head = f"POST {JSON_PATH} HTTP/1.1\r\n{greedy}Content-Length: 1000000\r\n\r\n"
        await wire.send(head.encode() + b"x" * 999_000)
    answers = [await wire.answer() for wire in wires]
    assert {each.status for each in answers} == {408, 503}
    assert sum(each.status == 503 for each in answers) >= 3, "8 MiB at most are one user's"
    assert not all(held)
    # All of it was given back.
    body = b"x" * 1_000_000
    again = await asyncio.gather(
        *(rig.client.post(JSON_PATH, content=body, headers=rig.bearer()) for _ in range(OF_ONE))
    )
    assert {each.status_code for each in again} == {200}
