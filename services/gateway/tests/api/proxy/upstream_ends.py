"""Both ends of a request, without a server between: a client's, and its answer's."""

import asyncio
from typing import Any

from starlette.types import Message

from sharezync_gateway.proxy.body import RequestBody
from sharezync_gateway.proxy.upstream import ClientOrigin, Request


class Collected:
    """Stands for the client's end of an answer."""

    def __init__(self) -> None:
        self.messages: list[Message] = []

    async def __call__(self, message: Message) -> None:
        self.messages.append(message)

    @property
    def status(self) -> int:
        return int(self.messages[0]["status"])

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.messages[1:])

    @property
    def whole(self) -> bool:
        return not self.messages[-1].get("more_body", False)


class Client:
    """Stands for the client's end of a request: says these pieces, then stays or leaves."""

    def __init__(self, *pieces: bytes, whole: bool = True, stays: bool = True) -> None:
        self.left = asyncio.Event()
        if not stays:
            self.left.set()
        self._messages: list[Message] = [
            {"type": "http.request", "body": piece, "more_body": not whole or at < len(pieces)}
            for at, piece in enumerate(pieces, 1)
        ]

    async def receive(self) -> Message:
        if self._messages:
            return self._messages.pop(0)
        await self.left.wait()
        return {"type": "http.disconnect"}


def request(client: Client | None = None, length: int | None = 0, **changes: Any) -> Request:
    body = RequestBody(
        (client or Client()).receive,
        length=length,
        limit_bytes=changes.pop("limit_bytes", None),
        idle_seconds=changes.pop("idle_seconds", 5),
    )
    fields: dict[str, Any] = {
        "method": "GET" if length == 0 else "POST",
        "path": b"/v1/x",
        "query": b"",
        "headers": [],
        "patience_seconds": 5,
        "origin": ClientOrigin(address="203.0.113.7", scheme="https", host=b"front.test"),
    }
    return Request(body=body, **{**fields, **changes})
