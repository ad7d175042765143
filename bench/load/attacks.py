"""What strangers send who mean harm: one coroutine for each attack, for a bounded time.

    python -m load.attacks NAME     (a `Target` as JSON on standard input; `Seen` as JSON comes out)

Each runs in a process of its own, at a low priority and from addresses of its own, so that what
an innocent waits for is the server and not the generator. Sources: `docs/hostility.md`.
"""

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Any, Final

from load.attack import PIECE, Attack, Target, frame
from load.socket_attacks import SOCKET_ATTACKS

_CHUNKED: Final = ("Content-Type: application/x-www-form-urlencoded", "Transfer-Encoding: chunked")


async def trailers(attack: Attack) -> None:
    """Trailer fields without end, one connection, no token."""
    before = attack.head("POST", "/token", *_CHUNKED) + b"1\r\na\r\n0\r\n"
    await attack.flood(before, b"a:b\r\n" * (PIECE // 5))


async def trailer_line(attack: Attack) -> None:
    """One trailer line without end."""
    await attack.flood(attack.head("POST", "/token", *_CHUNKED) + b"0\r\na: ", b"b" * PIECE)


async def chunk_extensions(attack: Attack) -> None:
    """A chunk extension without end."""
    await attack.flood(attack.head("POST", "/token", *_CHUNKED) + b"1;a=", b"b" * PIECE)


async def tiny_chunks(attack: Attack) -> None:
    """A body in chunks of a byte each, four connections."""
    before = attack.head("POST", "/v1/uploads", *_CHUNKED, token=True)
    await attack.flood(before, b"1\r\na\r\n" * (PIECE // 6), connections=4)


async def large_heads(attack: Attack) -> None:
    """Heads of 40 KB, one packet each."""
    head = attack.head("GET", "/health", "X-Large: " + "a" * 40_000)
    await attack.flood(head, head, connections=8)


async def pipelined_gets(attack: Attack) -> None:
    """Small requests in a row, without waiting for answers."""
    head = attack.head("GET", "/health")
    await attack.flood(head, head * 500, connections=8)


async def pages_never_read(attack: Attack) -> None:
    """300 connections that each ask for a page of a megabyte six times, and read nothing."""
    asked = attack.head("GET", "/docs/assets/swagger-ui-bundle.js") * 6

    async def one() -> None:
        with contextlib.suppress(OSError):
            async with attack.connection(reads=False) as (_, writer):
                await attack.send(writer, asked)
                await asyncio.sleep(max(attack.left, 0))

    await asyncio.gather(*(one() for _ in range(300)))


async def slow_bodies(attack: Attack) -> None:
    """560 bodies for the login, of which a byte comes every three seconds."""
    before = attack.head("POST", "/token", *_CHUNKED)
    await attack.trickle(before, b"1\r\na\r\n", connections=560, every_seconds=3)


async def slow_uploads(attack: Attack) -> None:
    """256 uploads of four accounts, of which a byte comes every second."""
    fields = ("Content-Type: multipart/form-data; boundary=b", "Content-Length: 5000000")
    part = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
    heads = [
        attack.head("POST", "/v1/files", *fields, bearer=token) for token in await attack.tokens(4)
    ]
    await attack.for_the_time(
        *(attack.trickle(head + part, b"x", connections=64, every_seconds=1) for head in heads)
    )


async def cancelled_uploads(attack: Attack) -> None:
    """64 uploads of four accounts at a time, each cancelled as soon as it may have begun, and sent
    anew.
    """
    fields = ("Content-Type: multipart/form-data; boundary=b", "Content-Length: 5000000")
    part = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
    tokens = await attack.tokens(4)
    heads = [attack.head("POST", "/v1/files", *fields, bearer=token) for token in tokens]
    await _left_at_once(attack, [head + part + bytes(64 * 1024) for head in heads])


async def cancelled_downloads(attack: Attack) -> None:
    """64 downloads of four accounts at a time, each left after 50 ms, and asked for anew."""
    heads = []
    for token in await attack.tokens(4):
        path = await attack.stored(4 * 1024 * 1024, token=token)
        heads.append(attack.head("GET", f"{path}/content", bearer=token))
    await _left_at_once(attack, heads)


async def _left_at_once(attack: Attack, requests: list[bytes]) -> None:
    async def one(request: bytes) -> None:
        while attack.left > 0:
            with contextlib.suppress(OSError):
                async with attack.connection(reads=False) as (_, writer):
                    await attack.send(writer, request)
                    await asyncio.sleep(0.05)

    await attack.for_the_time(*map(one, requests * 16))


async def slow_downloads(attack: Attack) -> None:
    """256 downloads of four accounts, of which a kilobyte is read every second."""

    async def one(head: bytes) -> None:
        while attack.left > 0:
            with contextlib.suppress(OSError):
                async with attack.connection(reads=False) as (reader, writer):
                    await attack.send(writer, head)
                    while attack.left > 0 and (data := await reader.read(1000)):
                        attack.seen.answer(data)
                        await asyncio.sleep(1)
            attack.seen.closed += attack.left > 0

    heads = []
    for token in await attack.tokens(4):
        path = await attack.stored(4 * 1024 * 1024, token=token)
        heads += [attack.head("GET", f"{path}/content", bearer=token)] * 64
    await attack.for_the_time(*map(one, heads))


async def slow_heads(attack: Attack) -> None:
    """500 heads of which a byte comes every second."""
    await attack.trickle(b"GET / HTTP/1.1\r\nX: ", b"a", connections=500, every_seconds=1)


async def silent_connections(attack: Attack) -> None:
    """1,000 connections on which nothing comes."""
    await attack.trickle(b"", b"", connections=1000, every_seconds=1)


async def silent_sockets(attack: Attack) -> None:
    """500 WebSockets that never say who they are."""
    await attack.trickle(attack.handshake(token=False), b"", connections=500, every_seconds=1)


async def churn(attack: Attack) -> None:
    """Connections opened and closed, as fast as that goes."""

    async def one() -> None:
        while attack.left > 0:
            with contextlib.suppress(OSError):
                async with attack.connection(reads=False):
                    pass
            await asyncio.sleep(0)

    await asyncio.gather(*(one() for _ in range(16)))


async def pongs(attack: Attack) -> None:
    """Two sockets without a token, empty pongs without end."""
    await attack.flood(attack.handshake(token=False), frame(0x8A) * 8000, connections=2)


async def pings(attack: Attack) -> None:
    """Two sockets without a token, pings without end, whose pongs nobody reads."""
    before = attack.handshake(token=False)
    await attack.flood(before, frame(0x89, b"x" * 100) * 500, connections=2, reads=False)


async def fragments(attack: Attack) -> None:
    """A message in empty fragments without end."""
    before = attack.handshake(token=False) + frame(0x01)
    await attack.flood(before, frame(0x00) * 8000, connections=2)


async def commands(attack: Attack) -> None:
    """A socket of somebody logged in, commands of a few bytes without end."""
    before = attack.handshake(token=True)
    await attack.flood(before, frame(0x81, b'{"type":"x"}') * 3000, connections=2)


async def huge_cursors(attack: Attack) -> None:
    """`resume` from positions that can't be."""
    cursors = {f"inbox:{attack.target.user_id}": ["x", 2**63]}
    said = json.dumps({"type": "resume", "id": 1, "cursors": cursors}).encode()
    await attack.flood(attack.handshake(token=True), frame(0x81, said) * 50, connections=2)


async def large_messages(attack: Attack) -> None:
    """Messages of 16,000 characters, 60 in a row."""

    def message(number: int) -> bytes:
        body = {
            "type": "send_message", "id": number, "channel_id": attack.target.channel_id,
            "text": "a" * 16_000,
        }  # fmt: skip
        return frame(0x81, json.dumps(body).encode())

    burst = b"".join(message(number) for number in range(60))
    before = attack.handshake(token=True)
    while attack.left > 0:
        with contextlib.suppress(OSError):
            async with attack.connection() as (_, writer):
                await attack.send(writer, before)
                await asyncio.sleep(0.3)
                await attack.send(writer, burst)
                await asyncio.sleep(1)


async def searches(attack: Attack) -> None:
    """40 searches at once, of 16 words joined by `or`."""
    query = "%20or%20".join(f"word{number}" for number in range(16))
    asked = attack.head("GET", f"/v1/search?q={query}", token=True)

    async def one() -> None:
        with contextlib.suppress(OSError):
            async with attack.connection() as (_, writer):
                while attack.left > 0:
                    await attack.send(writer, asked)
                    await asyncio.sleep(0.2)

    await asyncio.gather(*(one() for _ in range(40)))


async def upgrades(attack: Attack) -> None:
    """Offers of h2c whose body spells another request, over and over."""
    inner = attack.head("GET", "/v1/users/me", token=True)
    fields = ("Connection: Upgrade", "Upgrade: h2c", f"Content-Length: {len(inner)}")
    whole = attack.head("POST", "/token", *fields) + inner
    await attack.flood(whole, whole * 20, connections=4)


ATTACKS: Final[dict[str, Callable[[Attack], Awaitable[None]]]] = SOCKET_ATTACKS | {
    each.__name__: each
    for each in (
        trailers, trailer_line, chunk_extensions, tiny_chunks, large_heads, pipelined_gets,
        pages_never_read, slow_bodies, slow_uploads, cancelled_uploads,
        slow_downloads, cancelled_downloads, slow_heads,
        silent_connections, silent_sockets, churn, pongs, pings, fragments, commands, huge_cursors,
        large_messages, searches, upgrades,
    )
}  # fmt: skip
"""By name. Each is over within the target's seconds, and a moment."""


async def run(name: str, target: Target) -> dict[str, Any]:
    """Run one attack; return what was seen."""
    attack = Attack(target)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(target.seconds + 5):
            await ATTACKS[name](attack)
    return {**asdict(attack.seen), "statuses": dict(attack.seen.statuses)}


if __name__ == "__main__":
    os.nice(10)
    print(json.dumps(asyncio.run(run(sys.argv[1], Target(**json.load(sys.stdin))))))
