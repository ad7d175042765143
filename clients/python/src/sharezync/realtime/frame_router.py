"""What comes down a socket, brought to whoever waits for it. No I/O of its own."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from sharezync.problems import SharezyncError
from sharezync.realtime.cursors import Cursor, Cursors
from sharezync.realtime.frame_queue import FrameQueue, Item
from sharezync.realtime.frames import (
    Connected,
    Incoming,
    Json,
    Lost,
    Signal,
    StreamEventFrame,
    StreamReset,
)


class FrameRouter:
    """Sorts frames: answers to commands, lines of transfers, and all else for who iterates."""

    def __init__(self, cursors: Mapping[str, Cursor] | None, *, keeps_events: bool) -> None:
        self.cursors = Cursors(cursors)
        self.bye_seconds: float | None = None
        """When to come back, as the server asked on this connection."""
        self._keeps_events = keeps_events
        self._incoming: deque[Incoming] = deque()
        self._arrived = asyncio.Event()
        self._handed_out: dict[str, Cursor] = self.cursors.all()
        self._answers: dict[int, asyncio.Future[Json]] = {}
        self._lines: dict[str, set[FrameQueue]] = {}
        self._failure: SharezyncError | None = None
        self._handlers: dict[str, Callable[[Json], None]] = {
            "reply": self._answered,
            "error": self._answered,
            "chunk_ack": self._chunk_ack,
            "reset": self._reset,
            "resumed": self._resumed,
            "bye": self._bye,
        }

    @property
    def handed_out(self) -> dict[str, Cursor]:
        """How far each stream was handed out to who iterates."""
        return dict(self._handed_out)

    async def iterate(self) -> AsyncIterator[Incoming]:
        """Yield what comes, as it comes. Raises what ended the socket."""
        while True:
            while self._incoming:
                incoming = self._incoming.popleft()
                if isinstance(incoming, StreamEventFrame | StreamReset):
                    self._handed_out[incoming.stream] = (incoming.epoch, incoming.seq)
                yield incoming
            if self._failure is not None:
                raise self._failure
            self._arrived.clear()
            await self._arrived.wait()

    @contextmanager
    def answer_to(self, number: int) -> "Iterator[asyncio.Future[Json]]":
        """Open what the answer to a command comes to; raises what became of the socket instead."""
        answer: asyncio.Future[Json] = asyncio.get_running_loop().create_future()
        self._answers[number] = answer
        try:
            yield answer
        finally:
            del self._answers[number]

    @contextmanager
    def line(self, transfer_id: str) -> Iterator[FrameQueue]:
        """Open what everything about one transfer comes to, from now on."""
        line = FrameQueue()
        self._lines.setdefault(transfer_id, set()).add(line)
        try:
            yield line
        finally:
            lines = self._lines[transfer_id]
            lines.discard(line)
            if not lines:
                del self._lines[transfer_id]

    # --- of the connection ----------------------------------------------------------------------

    def connected(self, connected: Connected) -> None:
        """It is open; streams that are new begin here."""
        self.bye_seconds = None
        self.cursors.begin(connected.heads)
        for stream, cursor in connected.heads.items():
            self._handed_out.setdefault(stream, cursor)
        self._announce(connected)

    def lost(self, lost: Lost, because: Exception) -> None:
        """It broke; who waits for an answer gets `because` instead."""
        self.cursors.disconnected()
        self._give_up_answers(because)
        self._announce(lost)

    def fail(self, error: SharezyncError) -> None:
        """Nothing will come any more, after what is there."""
        self._failure = error
        self._arrived.set()
        self._give_up_answers(error)
        for line in self._all_lines():
            line.fail(error)

    # --- frames --------------------------------------------------------------------------------

    def take_chunk(self, transfer_id: str, frame: bytes) -> None:
        """Take a binary frame."""
        self._to_lines(transfer_id, frame)

    def handle_text(self, frame: Json) -> tuple[str, int] | None:
        """Take a text frame; return a stream with a gap, and the `seq` after which it is."""
        kind = frame["type"]
        if kind in self._handlers:
            self._handlers[kind](frame)
        elif "seq" in frame and "stream" in frame:
            ready, gap = self.cursors.apply_event(frame)
            for event in ready:
                self._event(event)
            return None if gap is None else (frame["stream"], gap)
        elif "data" in frame:
            self._to_lines(frame["data"].get("transfer_id"), frame)
            self._keep(Signal(kind, frame.get("stream"), frame["data"]))
        return None

    def _event(self, frame: Json) -> None:
        if frame["stream"].startswith("transfers:"):
            self._to_lines(frame["data"].get("id"), frame)
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
            self._to_lines(frame.get("transfer_id"), frame)  # an error about a chunk
        elif not answer.done():
            answer.set_result(frame)

    def _chunk_ack(self, frame: Json) -> None:
        self._to_lines(frame["transfer_id"], frame)

    def _reset(self, frame: Json) -> None:
        self.cursors.reset(frame["stream"], frame["epoch"], frame["seq"])
        self._keep(StreamReset(frame["stream"], frame["epoch"], frame["seq"]))

    def _resumed(self, frame: Json) -> None:
        for stream, outcome in frame["streams"].items():
            if outcome["result"] == "gone":
                self.cursors.drop_stream(stream)
                self._handed_out.pop(stream, None)

    def _bye(self, frame: Json) -> None:
        self.bye_seconds = frame["after_ms"] / 1000

    # --- to whom -------------------------------------------------------------------------------

    def _announce(self, change: Connected | Lost) -> None:
        for line in self._all_lines():
            line.put(change)
        self._keep(change)

    def _keep(self, incoming: Incoming) -> None:
        if self._keeps_events:
            self._incoming.append(incoming)
            self._arrived.set()

    def _to_lines(self, transfer_id: Any, item: Item) -> None:  # noqa: ANN401 - of a frame
        for line in self._lines.get(transfer_id, ()) if isinstance(transfer_id, str) else ():
            line.put(item)

    def _all_lines(self) -> list[FrameQueue]:
        return [line for lines in self._lines.values() for line in lines]

    def _give_up_answers(self, because: Exception) -> None:
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(because)
