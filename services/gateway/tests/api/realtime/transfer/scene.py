"""People who send each other files over sockets, with transfer and storage in memory."""

import asyncio
import hashlib
import json
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import msgspec
import websockets
from prometheus_client import CollectorRegistry

from services.gateway.tests.api.realtime.world import Device, Node, User, World
from services.gateway.tests.unit.transfers.fakes import FakeStore, make_chunk
from sharezync_gateway.transfers.context import STALL_SECONDS, TransferContext
from sharezync_gateway.transfers.core.calls import Caller, TransferCalls
from sharezync_gateway.transfers.core.chunks import Chunk, decode_frame
from sharezync_gateway.transfers.socket.socket_transfers import SocketTransfers
from sharezync_shared.calls.client import ServiceUnavailable
from sharezync_shared.contracts.commands import Refusal
from sharezync_shared.contracts.transfer import ParticipationRead, Standing, TransferResult
from sharezync_shared.events.bus import Bus
from sharezync_shared.ids import uuid7
from sharezync_shared.problems import NotFound
from sharezync_shared.ranges import Ranges
from sharezync_shared.streams.frames import Control, Frame
from sharezync_testkit.waiting import giving_up

CHUNK = 64 * 1024
Json = dict[str, Any]


@dataclass
class Offer:
    """A transfer, as the transfer service has it."""

    id: UUID
    sender: str
    recipient: str
    sizes: list[int]
    uploads: list[UUID]
    state: str = "offered"
    received: dict[int, Ranges] = field(default_factory=dict)
    stored: dict[int, int] = field(default_factory=dict)

    def count(self, file: int) -> int:
        return -(-self.sizes[file] // CHUNK)


class TransferService(TransferCalls):
    """Calls over a few offers; as the real one, it tells gateways of every change."""

    def __init__(self, bus: Bus, store: FakeStore, window_bytes: int = 4 * 1024 * 1024) -> None:
        self.bus = bus
        self.store = store
        self.window_bytes = window_bytes
        self.offers: dict[UUID, Offer] = {}
        self.commands: list[tuple[str, str, Json]] = []
        self.stored_when_completed = 0
        self.away = False
        """Whether nobody can ask what they are to a transfer."""
        self.asked = 0
        """How often somebody did."""
        self.answers = asyncio.Event()
        """Holds back the answers to commands that were carried out."""
        self.answers.set()

    def offer(self, sender: User, recipient: User, *sizes: int) -> Offer:
        uploads = [uuid7() for _ in sizes]
        made = Offer(uuid7(), sender.id, recipient.id, list(sizes), uploads)
        self.offers[made.id] = made
        return made

    async def change(self, offer: Offer, state: str) -> None:
        offer.state = state
        control = Control(chunk=["changed"])
        await self.bus.send_frames([Frame(f"transfer:{offer.id}", "", 0, b"", control)])

    def _seen(self, transfer_id: UUID, user_id: str) -> Offer:
        offer = self.offers.get(transfer_id)
        if offer is None or user_id not in {offer.sender, offer.recipient}:
            raise NotFound
        return offer

    async def attach(self, transfer_id: UUID, caller: Caller) -> ParticipationRead:
        self.asked += 1
        if self.away:
            raise ServiceUnavailable("transfer", "away")
        return self._end(self._seen(transfer_id, caller.user_id), caller.user_id)

    def _end(self, offer: Offer, user_id: str) -> ParticipationRead:
        is_sender = user_id == offer.sender
        files = [
            {
                "index": index,
                "upload_id": offer.uploads[index],
                "size_bytes": size,
                "chunk_size_bytes": CHUNK,
                "chunk_count": offer.count(index),
                "accepted": is_sender or offer.state != "offered",
            }
            for index, size in enumerate(offer.sizes)
        ]
        states = [
            {"index": index, "stored_bytes": offer.stored.get(index, 0)}
            for index in range(len(offer.sizes))
        ]
        received = {file: held.pairs() for file, held in offer.received.items()}
        document = {
            "user_id": user_id,
            "device_id": None,
            "role": "sender" if is_sender else "recipient",
            "transfer": {"id": offer.id, "state": offer.state, "files": states},
            "window_bytes": self.window_bytes,
            "files": files,
            "received": {} if is_sender else received,
        }
        return msgspec.convert(document, ParticipationRead)

    async def report(
        self,
        transfer_id: UUID,
        caller: Caller,
        *,
        stored: Mapping[int, int],
        received: Mapping[int, Ranges],
    ) -> Standing:
        offer = self._seen(transfer_id, caller.user_id)
        offer.stored |= stored
        for file, held in received.items():
            offer.received[file] = offer.received.get(file, Ranges()) | held
        return Standing(offer.state)

    async def command(self, caller: Caller, kind: str, data: Mapping[str, Any]) -> TransferResult:
        said: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(data))  # as it travels
        self.commands.append((kind, str(caller.device_id), said))
        done = await self._carry_out(caller.user_id, kind, said)
        await self.answers.wait()
        return done

    async def _carry_out(self, user_id: str, kind: str, data: Mapping[str, Any]) -> TransferResult:
        await asyncio.sleep(0)
        if kind == "file_transfer_start":
            recipient_id = next((each["user_id"] for each in data["recipients"]), "")
            sizes = [file["size"] for file in data["files"]]
            offer = Offer(uuid7(), user_id, recipient_id, sizes, [uuid7() for _ in sizes])
            self.offers[offer.id] = offer
            return self._done(offer, user_id, moves=True, **data)
        try:
            offer = self._seen(UUID(data["transfer_id"]), user_id)
        except NotFound:
            return TransferResult(problem=Refusal("not-found", "no such transfer", 404))
        act = kind.removeprefix("transfer_")
        if act == "complete":
            self.stored_when_completed = len(self.store.chunks)
        else:
            if data.get("have") is not None:
                offer.received = {int(f): Ranges(pairs) for f, pairs in data["have"].items()}
            states = {"accept": "accepted", "resume": "accepted", "pause": "paused"}
            await self.change(offer, states.get(act, f"{act}ed"))
        return self._done(offer, user_id, moves=act in {"accept", "resume"})

    def _done(self, offer: Offer, user_id: str, *, moves: bool, **data: Any) -> TransferResult:
        told = msgspec.json.encode({"id": str(offer.id), "state": offer.state, **data})
        return TransferResult(msgspec.Raw(told), end=self._end(offer, user_id) if moves else None)

    async def stored(self, upload_id: UUID) -> Ranges:
        return self.store.held(upload_id)


@dataclass
class Replica:
    """A node on which transfers run."""

    node: Node
    context: TransferContext
    transfers: SocketTransfers
    registry: CollectorRegistry

    def count(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(name, labels) or 0.0


class Scene:
    """A world with transfer and storage in it."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.store = FakeStore()
        self.service = TransferService(world.bus, self.store)

    @asynccontextmanager
    async def replica(self, *, stall_seconds: float = STALL_SECONDS) -> AsyncGenerator[Replica]:
        registry = CollectorRegistry()
        context = TransferContext(
            bus=self.world.bus,
            registry=registry,
            store=self.store,
            calls=self.service,
            stall_seconds=stall_seconds,
        )
        await context.start()
        transfers = SocketTransfers(context)
        transfers.start()
        try:
            async with self.world.node(
                handlers=transfers.handlers,
                binary_handler=transfers.take_binary,
                chunk_handler=context.take_notice,
            ) as node:
                yield Replica(node, context, transfers, registry)
        finally:
            transfers.close()
            await context.aclose()


class Talker:
    """A connected device that hears everything at once: texts and chunks."""

    def __init__(self, device: Device) -> None:
        self.device = device
        self.texts: list[Json] = []
        self.chunks: list[Chunk] = []
        self._arrived = asyncio.Event()
        self._acknowledges = False

    async def listen(self) -> None:
        try:
            async for message in self.device.socket:
                if isinstance(message, bytes):
                    chunk = decode_frame(message)
                    assert hashlib.sha256(chunk.payload).digest() == chunk.sha256
                    self.chunks.append(chunk)
                    if self._acknowledges:
                        await self.acknowledge(chunk)
                else:
                    self.texts.append(json.loads(message))
                self._arrived.set()
        except websockets.ConnectionClosed:
            pass

    def acknowledge_everything(self) -> None:
        self._acknowledges = True

    async def acknowledge(self, chunk: Chunk) -> None:
        await self.device.say(
            "chunk_ack",
            transfer_id=str(chunk.transfer_id),
            file=chunk.file,
            next=0,
            indexes=[chunk.index],
        )

    async def until(self, condition: Callable[[], object]) -> None:
        async with giving_up(lambda: f"what is awaited; what came last: {self.texts[-3:]}"):
            while not condition():
                self._arrived.clear()
                await self._arrived.wait()

    async def text(self, matches: Callable[[Json], object]) -> Json:
        await self.until(lambda: any(matches(text) for text in self.texts))
        return next(text for text in self.texts if matches(text))

    async def command(self, kind: str, **data: Any) -> Json:
        own_id = await self.device.say(kind, **data)
        return await self.text(lambda text: text.get("id") == own_id)

    async def acked(self, next_index: int, file: int = 0) -> Json:
        return await self.text(
            lambda t: t["type"] == "chunk_ack" and t["file"] == file and t["next"] >= next_index
        )

    async def error(self) -> Json:
        return await self.text(lambda text: text["type"] == "error")

    async def send(self, *chunks: Chunk) -> None:
        for chunk in chunks:
            await self.device.socket.send(chunk.frame)


@asynccontextmanager
async def talking(replica: Replica, user: User, name: str = "laptop") -> AsyncGenerator[Talker]:
    """Connect a device that listens to everything."""
    async with replica.node.device(user, name, max_size=4 * 1024 * 1024) as device:
        talker = Talker(device)
        listening = asyncio.create_task(talker.listen())
        try:
            yield talker
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)


def chunks_of(offer: Offer, content: bytes, file: int = 0) -> list[Chunk]:
    """Cut a file as its sender does."""
    return [
        make_chunk(offer.id, file, index, piece, hashlib.sha256(piece).digest())
        for index, start in enumerate(range(0, len(content), CHUNK))
        for piece in [content[start : start + CHUNK]]
    ]


def content_of(chunks: Sequence[Chunk]) -> bytes:
    """Put a file together as its receiver does, whatever order its chunks came in."""
    ordered = sorted(chunks, key=lambda chunk: chunk.index)
    return b"".join(bytes(chunk.payload) for chunk in ordered)
