"""What comes down a socket, each to those who wait for it or iterate over it. No I/O of its own."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, cast

from sharezync.problems import SharezyncError
from sharezync.realtime.cursors import Cursor, Cursors
from sharezync.shapes import Json, member


@dataclass(frozen=True, slots=True)
class StreamEventFrame:
    """Something happened: in its stream in order, without a gap, once."""

    type: str
    stream: str
    epoch: str
    seq: int
    at: str
    data: Json = field(repr=False)


@dataclass(frozen=True, slots=True)
class Signal:
    """Something is the case now (`typing`, `presence`, `progress_update`); may be lost."""

    type: str
    stream: str | None
    data: Json


@dataclass(frozen=True, slots=True)
class StreamReset:
    """What is known of this stream is out of date: fetch it again; it goes on after `seq`."""

    stream: str
    epoch: str
    seq: int


@dataclass(frozen=True, slots=True)
class Connected:
    """The socket is open, at first or again; subscriptions must be sent again."""

    user_id: str
    device_id: str | None
    heads: dict[str, tuple[str, int]]


@dataclass(frozen=True, slots=True)
class Lost:
    """The socket broke; it is being opened again."""

    code: int
    reason: str


Incoming = StreamEventFrame | Signal | StreamReset | Connected | Lost
Item = Json | bytes | Incoming
"""A frame; the binary frame of a chunk; or what is iterated over."""


class FrameQueue(asyncio.Queue[Item | SharezyncError]):
    """What comes, in order. It has no bound: for chunks that is the credit which was given."""

    def fail(self, error: SharezyncError) -> None:
        """End it: nothing comes after what is there."""
        self.put_nowait(error)

    async def next(self) -> Item:
        """Return the next item, waiting for it. Raises what ended the socket."""
        item = await self.get()
        if isinstance(item, SharezyncError):
            self.put_nowait(item)  # for the next who waits
            raise item
        return item


class FrameRouter:
    """Sorts frames: answers to commands, what is about a transfer, and all for who iterates."""

    def __init__(self, cursors: Mapping[str, Cursor] | None, *, keeps_events: bool) -> None:
        self.cursors = Cursors(cursors)
        self.bye_seconds: float | None = None
        """When to come back, as the server asked on this connection."""
        self._keeps_events = keeps_events
        self._incoming = FrameQueue()
        self._handed_out: dict[str, Cursor] = self.cursors.all()
        self._answers: dict[int, asyncio.Future[Json]] = {}
        self._of_transfers: dict[str, set[FrameQueue]] = {}

    @property
    def handed_out(self) -> dict[str, Cursor]:
        """How far each stream was handed out to who iterates."""
        return dict(self._handed_out)

    async def iterate(self) -> AsyncIterator[Incoming]:
        """Yield what comes, as it comes. Raises what ended the socket."""
        while True:
            incoming = cast("Incoming", await self._incoming.next())
            if isinstance(incoming, StreamEventFrame | StreamReset):
                self._handed_out[incoming.stream] = (incoming.epoch, incoming.seq)
            yield incoming

    @contextmanager
    def answer_to(self, number: int) -> "Iterator[asyncio.Future[Json]]":
        """Open a future for the answer to a command; it fails with what ends the socket."""
        answer: asyncio.Future[Json] = asyncio.get_running_loop().create_future()
        self._answers[number] = answer
        try:
            yield answer
        finally:
            del self._answers[number]

    @contextmanager
    def about_transfer(self, transfer_id: str) -> Iterator[FrameQueue]:
        """Open a queue of everything about one transfer, from now on."""
        queue = FrameQueue()
        self._of_transfers.setdefault(transfer_id, set()).add(queue)
        try:
            yield queue
        finally:
            self._of_transfers[transfer_id].discard(queue)
            if not self._of_transfers[transfer_id]:
                del self._of_transfers[transfer_id]

    # --- of the connection ----------------------------------------------------------------------

    def connected(self, connected: Connected) -> None:
        """It is open; streams that are new begin here."""
        self.bye_seconds = None
        self.cursors.begin(connected.heads)
        for stream, cursor in connected.heads.items():
            self._handed_out.setdefault(stream, cursor)
        self._announce(connected)

    def lost(self, lost: Lost, because: Exception) -> None:
        """It broke; those who wait for an answer get `because` instead."""
        self.cursors.disconnected()
        self._give_up_answers(because)
        self._announce(lost)

    def fail(self, error: SharezyncError) -> None:
        """End everything: nothing comes after what is there."""
        self._give_up_answers(error)
        for queue in (self._incoming, *self._queues()):
            queue.fail(error)

    # --- frames --------------------------------------------------------------------------------

    def handle_text(self, frame: Json) -> tuple[str, int] | None:
        """Handle a text frame; return a stream with a gap, and the `seq` after which it is."""
        kind = member(frame, "type", str)
        match kind:
            case "reply" | "error":
                self._answered(frame)
            case "chunk_ack":
                self.pass_on(frame["transfer_id"], frame)
            case "reset":
                self.cursors.reset(frame["stream"], frame["epoch"], frame["seq"])
                self._keep(StreamReset(frame["stream"], frame["epoch"], frame["seq"]))
            case "resumed":
                self._resumed(frame)
            case "bye":
                self.bye_seconds = frame["after_ms"] / 1000
            case _ if "seq" in frame and "stream" in frame:
                ready, gap = self.cursors.apply_event(frame)
                for event in ready:
                    self._event(event)
                return None if gap is None else (frame["stream"], gap)
            case _ if "data" in frame:
                self.pass_on(frame["data"].get("transfer_id"), frame)
                self._keep(Signal(kind, frame.get("stream"), frame["data"]))
        return None

    def _event(self, frame: Json) -> None:
        if frame["stream"].startswith("transfers:"):
            self.pass_on(frame["data"].get("id"), frame)
        self._keep(
            StreamEventFrame(
                frame["type"],
                frame["stream"],
                frame["epoch"],
                frame["seq"],
                frame["at"],
                frame["data"],
            )
        )

    def _answered(self, frame: Json) -> None:
        answer = self._answers.get(frame.get("id"))  # type: ignore[arg-type]  # None is nobody's
        if answer is None:
            self.pass_on(frame.get("transfer_id"), frame)  # an error about a chunk
        elif not answer.done():
            answer.set_result(frame)

    def _resumed(self, frame: Json) -> None:
        for stream, outcome in frame["streams"].items():
            if outcome["result"] == "gone":
                self.cursors.drop_stream(stream)
                self._handed_out.pop(stream, None)

    # --- to whom -------------------------------------------------------------------------------

    def _announce(self, change: Connected | Lost) -> None:
        for queue in self._queues():
            queue.put_nowait(change)
        self._keep(change)

    def _keep(self, incoming: Incoming) -> None:
        if self._keeps_events:
            self._incoming.put_nowait(incoming)

    def pass_on(self, transfer_id: Any, item: Item) -> None:  # noqa: ANN401 - of a frame
        """Pass a frame on to those who wait for what is about this transfer."""
        if isinstance(transfer_id, str):
            for queue in self._of_transfers.get(transfer_id, ()):
                queue.put_nowait(item)

    def _queues(self) -> list[FrameQueue]:
        return [queue for queues in self._of_transfers.values() for queue in queues]

    def _give_up_answers(self, because: Exception) -> None:
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(because)
