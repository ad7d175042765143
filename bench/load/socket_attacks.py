"""What strangers send on sockets who keep to each budget, or nearly, and have many sockets.

As `attacks`, which lists these beside its own. Each goes by a promise of the README of the gateway
or of the server: what it sends is legal, and costs more to answer than to say.
"""

import asyncio
import contextlib
import json
import struct
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final

from load.attack import Attack, frame

_SOCKETS: Final = 20
"""As many as one user may have on a node."""
_READY_SECONDS: Final = 1.0


def text(**members: object) -> bytes:
    """Return a text frame."""
    return frame(0x81, json.dumps(members, separators=(",", ":")).encode())


class Socket:
    """One socket that is open."""

    def __init__(self, attack: Attack, writer: asyncio.StreamWriter) -> None:
        self._attack = attack
        self._writer = writer

    async def say(self, *frames: bytes) -> None:
        """Send frames. Raises OSError once the socket is closed."""
        await self._attack.send(self._writer, b"".join(frames))


@asynccontextmanager
async def socket(
    attack: Attack, number: int = 0, *, token: str | None = None, reads: bool = True
) -> AsyncGenerator[Socket]:
    """Open a socket; with `token` as its user, else as the attacker."""
    async with attack.connection(reads=reads) as (_, writer):
        await attack.send(
            writer, attack.handshake(token=True, client_id=f"a{number}", bearer=token)
        )
        await asyncio.sleep(_READY_SECONDS)
        yield Socket(attack, writer)


async def sockets(
    attack: Attack,
    act: Callable[[Socket], Awaitable[None]],
    *,
    count: int = _SOCKETS,
    reads: bool = True,
    token: str | None = None,
) -> None:
    """Have `act` done again and again on each of so many sockets, each opened anew if closed."""

    async def one(number: int) -> None:
        while attack.left > 0:
            with contextlib.suppress(OSError):
                async with socket(attack, number, token=token, reads=reads) as opened:
                    while attack.left > 0:
                        await act(opened)
            attack.seen.closed += attack.left > 0

    await attack.for_the_time(*(one(number) for number in range(count)))


async def unknown_cursors(attack: Attack) -> None:
    """`resume` of 2,000 streams that one is not on, by 20 sockets, within their commands."""
    said = text(type="resume", id=1, cursors={f"x{number}": ["", 0] for number in range(2000)})

    async def act(opened: Socket) -> None:
        await opened.say(said * 9)
        await asyncio.sleep(0.1)

    await sockets(attack, act)


async def great_first_frames(attack: Attack) -> None:
    """Without a token: a first frame of 1.5 MiB, of a hundred thousand cursors."""
    cursors = b",".join(b'"%x":["",0]' % number for number in range(90_000))
    said = frame(0x81, b'{"type":"authenticate","token":"x","cursors":{' + cursors + b"}}")

    async def one() -> None:
        while attack.left > 0:
            with contextlib.suppress(OSError):
                async with attack.connection() as (_, writer):
                    await attack.send(writer, attack.handshake(token=False))
                    for _ in range(10):
                        await attack.send(writer, said)
                    await asyncio.sleep(0.5)

    await attack.for_the_time(*(one() for _ in range(8)))


async def offers_of_nothing(attack: Attack) -> None:
    """Offers of transfers that are 20,000 empty lists each, 45 unanswered on each of 20 sockets."""
    nothing = b",".join([b"[]"] * 21_000)
    said = frame(0x81, b'{"type":"file_transfer_start","id":1,"files":[' + nothing + b"]}")

    async def act(opened: Socket) -> None:
        await opened.say(said * 9)
        await asyncio.sleep(0.1)

    await sockets(attack, act)


async def pings_of_commands(attack: Attack) -> None:
    """Commands of a few bytes, 95 a second on each of 20 sockets: under every budget."""

    async def act(opened: Socket) -> None:
        await opened.say(text(type="ping", id=1) * 9)
        await asyncio.sleep(0.1)

    await sockets(attack, act)


async def messages_everywhere(attack: Attack) -> None:
    """Messages of a few bytes, 95 a second on each of 20 sockets: under every budget."""
    said = text(type="send_message", id=1, channel_id=attack.target.channel_id, text="x")

    async def act(opened: Socket) -> None:
        await opened.say(said * 9)
        await asyncio.sleep(0.1)

    await sockets(attack, act)


async def subscriptions(attack: Attack) -> None:
    """Strangers' presence asked for and let go, 200 at a time, on 20 sockets."""
    users = [str(uuid.uuid4()) for _ in range(200)]
    said = text(type="subscribe", id=1, users=users) + text(type="unsubscribe", id=2, users=users)

    async def act(opened: Socket) -> None:
        await opened.say(said)
        await asyncio.sleep(0.15)

    await sockets(attack, act)


async def unsubscriptions(attack: Attack) -> None:
    """`unsubscribe` of 1,600 ids, 95 a second on each of 20 sockets."""
    users = [str(uuid.uuid4()) for _ in range(1600)]
    said = text(type="unsubscribe", id=2, users=users)

    async def act(opened: Socket) -> None:
        await opened.say(said * 9)
        await asyncio.sleep(0.1)

    await sockets(attack, act)


async def renewals(attack: Attack) -> None:
    """The same good token again, 95 times a second on each of 20 sockets."""
    said = text(type="authenticate", id=1, token=attack.target.token)

    async def act(opened: Socket) -> None:
        await opened.say(said * 9)
        await asyncio.sleep(0.1)

    await sockets(attack, act)


async def foreign_chunks(attack: Attack) -> None:
    """Chunks in JSON, a megabyte each, of transfers that don't exist."""
    data = b"A" * (1_398_100)
    said = frame(
        0x81,
        b'{"type":"file_chunk","file":0,"index":0,"transfer_id":"%s","sha256":"%s","data":"%s"}'
        % (str(uuid.uuid4()).encode(), b"0" * 64, data),
    )

    async def act(opened: Socket) -> None:
        await opened.say(said)
        await asyncio.sleep(0.1)

    await sockets(attack, act)


async def foreign_headers(attack: Attack) -> None:
    """Chunks of a byte, of ever other transfers that don't exist."""

    async def act(opened: Socket) -> None:
        said = [
            frame(0x82, struct.pack(
                ">BBH16sIII32s", 1, 1, 0, uuid.uuid4().bytes, 2**32 - 1, 2**32 - 1, 1, bytes(32)
            ) + b"x")
            for _ in range(9)
        ]  # fmt: skip
        await opened.say(*said)
        await asyncio.sleep(0.1)

    await sockets(attack, act)


async def strewn_acks(attack: Attack) -> None:
    """A receiver's acknowledgements of 1,000 chunks, no two beside each other, never sent."""
    transfer_id = await attack.offer(files=[{"name": "a", "size": 2**31, "mime": "a/b"}])
    turn = 0

    async def act(opened: Socket) -> None:
        nonlocal turn
        turn = (turn + 1) % 16
        indexes = list(range(turn * 2000, turn * 2000 + 2000, 2))
        await opened.say(
            text(type="chunk_ack", transfer_id=transfer_id, file=0, next=0, indexes=indexes)
        )

    await sockets(attack, act, count=4, token=attack.target.friend_token)


async def acks_everywhere(attack: Attack) -> None:
    """The same short acknowledgement, 1,900 times a second on each of 20 sockets."""
    transfer_id = await attack.offer(files=[{"name": "a", "size": 2**30, "mime": "a/b"}])
    said = text(type="chunk_ack", transfer_id=transfer_id, file=0, next=1)

    async def act(opened: Socket) -> None:
        await opened.say(said * 190)
        await asyncio.sleep(0.1)

    await sockets(attack, act, token=attack.target.friend_token)


async def chunks_too_late(attack: Attack) -> None:
    """Chunks of a byte for a transfer that was cancelled, as many as are read."""
    transfer_id = await attack.offer(files=[{"name": "a", "size": 2**30, "mime": "a/b"}])
    await attack.ask("POST", f"/v1/transfers/{transfer_id}/cancel")
    head = struct.pack(
        ">BBH16sIII32s", 1, 1, 0, uuid.UUID(transfer_id).bytes, 0, 0, 1, bytes(32)
    )  # fmt: skip
    said = frame(0x82, head + b"x")

    async def act(opened: Socket) -> None:
        await opened.say(said * 190)
        await asyncio.sleep(0.1)

    await sockets(attack, act)


async def great_offers(attack: Attack) -> None:
    """Offers of 900 files each, one after the other."""
    files = [{"name": f"{number}.txt", "size": 1, "mime": "a/b"} for number in range(900)]
    said = text(
        type="file_transfer_start", id=1, files=files,
        recipients=[{"user_id": attack.target.friend_id}],
    )  # fmt: skip

    async def act(opened: Socket) -> None:
        await opened.say(said)
        await asyncio.sleep(0.05)

    await sockets(attack, act)


async def replays_unread(attack: Attack) -> None:
    """20 sockets each resume eight channels from their beginning, and read nothing."""
    streams = [f"channel:{channel}" for channel in attack.target.long_channels]
    heads = await attack.heads()
    cursors = {stream: [heads[stream][0], max(0, heads[stream][1] - 490)] for stream in streams}
    said = text(type="resume", id=1, cursors=cursors)

    async def act(opened: Socket) -> None:
        await opened.say(said)
        await asyncio.sleep(max(attack.left, 0))

    await sockets(attack, act, reads=False)


async def replays(attack: Attack) -> None:
    """The same, read, and over again."""
    streams = [f"channel:{channel}" for channel in attack.target.long_channels]
    heads = await attack.heads()
    cursors = {stream: [heads[stream][0], max(0, heads[stream][1] - 490)] for stream in streams}
    said = text(type="resume", id=1, cursors=cursors)

    async def act(opened: Socket) -> None:
        await opened.say(said)
        await asyncio.sleep(0.5)

    await sockets(attack, act)


async def ever_new_devices(attack: Attack) -> None:
    """Sockets opened and left, each under another name, with a token."""
    numbers = iter(range(10**9))

    async def one() -> None:
        while attack.left > 0:
            with contextlib.suppress(OSError):
                async with attack.connection() as (_, writer):
                    name = f"n{next(numbers)}"
                    await attack.send(writer, attack.handshake(token=True, client_id=name))
                    await asyncio.sleep(0.1)

    await attack.for_the_time(*(one() for _ in range(20)))


SOCKET_ATTACKS: Final[dict[str, Callable[[Attack], Awaitable[None]]]] = {
    each.__name__: each
    for each in (
        unknown_cursors, great_first_frames, offers_of_nothing, pings_of_commands,
        messages_everywhere, subscriptions, unsubscriptions, renewals, foreign_chunks,
        foreign_headers, strewn_acks, acks_everywhere, chunks_too_late, great_offers,
        replays_unread, replays, ever_new_devices,
    )
}  # fmt: skip
REPLAYING: Final = frozenset({replays_unread.__name__, replays.__name__})
"""Those that need channels with a long history."""
