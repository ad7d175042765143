"""An application whose answers tell exactly which request they are for, and what it carried."""

import asyncio
import hashlib
from urllib.parse import urlsplit

from starlette.types import Receive, Scope, Send

from tests.edge.answers import Answer
from tests.edge.reference import Seen

WAYS = ("echo", "early", "part", "first", "slow")
"""`/<way>/…`: answers after the whole body; without reading it; after its first piece; sends its
head before it reads; takes a few turns of the event loop before it reads and after."""

TRAILERS = ("x-trailer", "x-forwarded-for", "authorization")
"""Fields that our requests have as trailers only: in no head may they turn up."""

_TURNS = 5


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with the request's mark, method, way, and its body's length and digest."""
    way = scope["path"].split("/")[1]
    sent = {name.decode(): value for name, value in scope["headers"]}
    fields = [(b"x-request-id", sent.get("x-request-id", b"")), (b"x-method", _method(scope))]
    if scope["method"] == "CONNECT":
        way = "echo"
    if way == "first":
        await send({"type": "http.response.start", "status": 200, "headers": fields})
    if way == "slow":
        await _turns()
    body = await _body(receive, way)
    if way == "slow":
        await _turns()
    if body is None:
        return  # nobody is left
    # Again, and only now: a server may have merged trailers into what it gave us as the head.
    merged = [name for name, _ in scope["headers"] if name.decode() in TRAILERS]
    text = described(body) + "".join(f" merged:{name.decode()}" for name in merged)
    if way != "first":
        # Of known length for some, chunked for others.
        length = [(b"content-length", str(len(text)).encode())] if way != "slow" else []
        # CONNECT succeeds nowhere: its 200 would turn the connection into a tunnel.
        status = 404 if scope["method"] == "CONNECT" else 200
        start = {"type": "http.response.start", "status": status, "headers": fields + length}
        await send(start)
    await send({"type": "http.response.body", "body": text.encode()})


def expected(seen: Seen) -> str | None:
    """Return the text that must come back for a request; None where any length will do."""
    way = urlsplit(seen.target).path.split("/")[1]
    if way == "part":
        return None
    return described(b"" if way == "early" else seen.body)


def described(body: bytes) -> str:
    return f"{len(body)} {hashlib.sha256(body).hexdigest()[:16]}"


def difference(seen: Seen, answer: Answer) -> str:
    """Return in which way this is not the answer of this request; empty where it is."""
    status = 404 if seen.method == "CONNECT" else 200
    if (answer.status, answer.mark) != (status, seen.mark):
        return f"{answer.status} for {answer.mark!r} instead of {status} for {seen.mark!r}"
    if answer.field("x-method") != seen.method:
        return f"{seen.method} was taken for {answer.field('x-method')}"
    text, wanted = answer.body.decode(), expected(seen)
    if seen.method == "HEAD":
        wanted = ""
    if "merged" in text or (wanted is not None and text != wanted):
        return f"{text!r} instead of {wanted!r}"
    return ""


def _method(scope: Scope) -> bytes:
    return str(scope["method"]).encode()


async def _body(receive: Receive, way: str) -> bytes | None:
    body = b""
    more = way != "early"
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message.get("body", b"")
        more = message.get("more_body", False) and way != "part"
    return body


async def _turns() -> None:
    for _ in range(_TURNS):
        await asyncio.sleep(0)
