"""A body whose connection breaks: what arrived of it is not forgotten."""

import asyncio

from starlette.types import Message, Receive, Scope, Send

from sharezync_testkit.serving import plain_asgi, serving
from sharezync_testkit.waiting import wait_until


async def test_all_that_arrived_is_told_before_the_disconnect() -> None:
    """What uvicorn has read, it forgets when the connection breaks before it was asked for."""
    begun, broken = asyncio.Event(), asyncio.Event()
    told: list[Message] = []

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        begun.set()
        await broken.wait()
        while True:
            told.append(await receive())
            if told[-1]["type"] == "http.disconnect":
                return

    async with serving(plain_asgi(http=slow)) as served:
        _, writer = await asyncio.open_connection("127.0.0.1", served.port)
        writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n")
        await begun.wait()
        writer.write(b"x" * 400)
        writer.close()
        await wait_until(lambda: not served.server.server_state.connections)
        broken.set()
        await wait_until(lambda: told and told[-1]["type"] == "http.disconnect")
    assert b"".join(message.get("body", b"") for message in told) == b"x" * 400
    assert all(message.get("more_body", True) for message in told)  # nobody took it for the whole
