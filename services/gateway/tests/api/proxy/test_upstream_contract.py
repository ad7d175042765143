"""The contract of `Upstream`, held against both adapters directly."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack

import pytest
import pytest_asyncio
from starlette.types import Message, Receive, Scope, Send

from services.gateway.tests.api.proxy.rig import (
    Adapter,
    Puppet,
    answer,
    read_body,
    until_left,
    upstreams_to,
)
from services.gateway.tests.api.proxy.upstream_ends import Client, Collected, request
from sharezync_gateway.errors import BrokenAnswer, ClientGone, TookTooLong
from sharezync_gateway.proxy.upstream import Request, Upstream
from sharezync_testkit.waiting import GIVE_UP_SECONDS, wait_until

pytestmark = pytest.mark.asyncio(loop_scope="module")


class Both:
    """One service and the way to it."""

    def __init__(self, puppet: Puppet, upstream: Upstream) -> None:
        self.puppet = puppet
        self.upstream = upstream

    async def forward(self, request: Request) -> Collected:
        collected = Collected()
        await self.upstream.forward(request, collected)
        return collected

    def does(self, handler: Callable[[Scope, Receive, Send], Awaitable[None]]) -> None:
        self.puppet.handler = handler


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def both_of_module(adapter: Adapter) -> AsyncGenerator[Both]:
    puppet = Puppet()
    async with AsyncExitStack() as stack:
        upstream = (await upstreams_to(puppet, adapter, stack))()
        await upstream.start()
        stack.push_async_callback(upstream.aclose)
        yield Both(puppet, upstream)


@pytest.fixture
def both(both_of_module: Both) -> Both:
    both_of_module.puppet.handler = None
    both_of_module.puppet.seen.clear()
    return both_of_module


async def test_path_and_query_arrive_as_they_were_given(both: Both) -> None:
    path = b"/v1/messages/1/reactions/%F0%9F%98%80%23~(a)"
    await both.forward(request(path=path, query=b"a=%2F&b=c%20d&&e=?/"))
    scope = both.puppet.seen[0]
    assert scope["raw_path"] == path
    assert scope["path"] == "/v1/messages/1/reactions/😀#~(a)"
    assert scope["query_string"] == b"a=%2F&b=c%20d&&e=?/"


async def test_fields_arrive_in_order_and_as_often_as_they_were_said(both: Both) -> None:
    fields = [(b"x-a", b"1"), (b"x-b", b"2"), (b"x-a", "ä".encode())]
    await both.forward(request(headers=fields))
    assert [entry for entry in both.puppet.seen[0]["headers"] if entry[0] != b"host"] == fields


async def test_an_answer_comes_back_byte_by_byte(both: Both) -> None:
    async def handler(scope: Scope, receive: Receive, send: Send) -> None:
        await answer(send, b"\x00\xff", 418, [(b"x-a", b"1"), (b"x-a", b"2")])

    both.does(handler)
    collected = await both.forward(request())
    assert (collected.status, collected.body, collected.whole) == (418, b"\x00\xff", True)
    fields = [(name.lower(), value) for name, value in collected.messages[0]["headers"]]
    assert [value for name, value in fields if name == b"x-a"] == [b"1", b"2"]


@pytest.mark.parametrize("method", ["POST", "DELETE"])  # one deletes an account by a password
@pytest.mark.parametrize("length", [6, None], ids=["known", "chunked"])
async def test_a_body_arrives_whole_however_it_is_framed(
    both: Both, method: str, length: int | None
) -> None:
    async def handler(scope: Scope, receive: Receive, send: Send) -> None:
        await answer(send, await read_body(receive) or b"")

    both.does(handler)
    collected = await both.forward(request(Client(b"abc", b"", b"def"), length, method=method))
    assert collected.body == b"abcdef"


@pytest.mark.parametrize("length", [200_000, None], ids=["known", "chunked"])
async def test_a_body_that_breaks_off_is_never_taken_for_whole(
    both: Both, length: int | None
) -> None:
    ended: asyncio.Future[bytes | None] = asyncio.get_running_loop().create_future()

    async def handler(scope: Scope, receive: Receive, send: Send) -> None:
        ended.set_result(await read_body(receive))
        await answer(send, b"thanks")

    both.does(handler)
    client = Client(b"x" * 100_000, whole=False)
    asked = request(client, length)
    forwarding = asyncio.create_task(both.forward(asked))
    await wait_until(lambda: both.puppet.seen)
    client.left.set()
    async with asyncio.timeout(GIVE_UP_SECONDS):
        collected = await forwarding
        assert await ended is None
    assert asked.body.gone
    assert not collected.messages


@pytest.mark.parametrize("size", [5, 60_000, 300_000])
async def test_of_an_upload_that_breaks_off_the_service_gets_all_that_came(
    both: Both, size: int
) -> None:
    ended: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def handler(scope: Scope, receive: Receive, send: Send) -> None:
        came = b""
        while (message := await receive())["type"] != "http.disconnect":
            came += message.get("body", b"")
        ended.set_result(came)

    both.does(handler)
    client = Client(b"x" * size, whole=False, stays=False)
    fields = [(b"content-type", b"application/offset+octet-stream")]
    collected = await both.forward(request(client, size + 5, method="PATCH", headers=fields))
    async with asyncio.timeout(GIVE_UP_SECONDS):
        assert await ended == b"x" * size
    assert not collected.messages


async def test_a_body_that_outgrows_its_limit_ends_quietly(both: Both) -> None:
    asked = request(Client(b"x" * 10, b"x" * 10), None, limit_bytes=15)
    collected = await both.forward(asked)
    assert asked.body.failure is not None
    assert asked.body.failure.status == 413
    assert not collected.messages


async def test_who_cannot_send_any_more_ends_it_quietly_and_the_service_learns(both: Both) -> None:
    left = asyncio.Event()

    async def handler(scope: Scope, receive: Receive, send: Send) -> None:
        await read_body(receive)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        try:
            while True:
                await send({"type": "http.response.body", "body": b"x" * 999, "more_body": True})
                async with asyncio.timeout(0.005):
                    if (await receive())["type"] == "http.disconnect":
                        break
        except OSError:
            pass
        except TimeoutError:
            pass
        left.set()

    async def full(message: Message) -> None:
        if message["type"] == "http.response.body":
            raise ClientGone

    both.does(handler)
    await both.upstream.forward(request(), full)
    async with asyncio.timeout(GIVE_UP_SECONDS):
        await left.wait()


async def test_silence_is_not_waited_for(both: Both) -> None:
    async def handler(scope: Scope, receive: Receive, send: Send) -> None:
        await until_left(receive)

    both.does(handler)
    with pytest.raises(TookTooLong):
        await both.forward(request(patience_seconds=0.1))


async def test_silence_of_the_client_is_not_held_against_the_service(both: Both) -> None:
    async def handler(scope: Scope, receive: Receive, send: Send) -> None:
        await answer(send, await read_body(receive) or b"")

    class Slow(Client):
        async def receive(self) -> Message:
            if self._messages and not self._messages[0]["more_body"]:
                await asyncio.sleep(0.3)
            return await super().receive()

    both.does(handler)
    asked = request(Slow(b"a", b"b"), None, patience_seconds=0.1)
    assert (await both.forward(asked)).body == b"ab"


async def test_an_answer_cut_short_is_a_broken_one(both: Both) -> None:
    async def handler(scope: Scope, receive: Receive, send: Send) -> None:
        fields = [(b"content-length", b"100000")]
        await send({"type": "http.response.start", "status": 200, "headers": fields})
        await send({"type": "http.response.body", "body": b"x" * 10, "more_body": True})
        raise RuntimeError("planted")

    both.does(handler)
    with pytest.raises(BrokenAnswer):
        await both.forward(request())


async def test_leaving_in_mid_upload_ends_an_answer_that_flows_already(both: Both) -> None:
    left = asyncio.Event()

    async def handler(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        rest = asyncio.ensure_future(read_body(receive))
        while not rest.done():
            await send({"type": "http.response.body", "body": b"x" * 999, "more_body": True})
            await asyncio.sleep(0)
        assert rest.result() is None
        left.set()

    both.does(handler)
    client = Client(b"x" * 100_000, whole=False)
    collected = Collected()
    asked = request(client, 200_000)
    forwarding = asyncio.create_task(both.upstream.forward(asked, collected))
    await wait_until(lambda: len(collected.messages) > 10)
    client.left.set()
    async with asyncio.timeout(GIVE_UP_SECONDS):
        await forwarding
        await left.wait()
    assert not collected.whole


async def test_starting_and_ending_can_be_repeated(adapter: Adapter) -> None:
    async with AsyncExitStack() as stack:
        upstream = (await upstreams_to(Puppet(), adapter, stack))()
        await upstream.start()
        await upstream.aclose()
        await upstream.aclose()
