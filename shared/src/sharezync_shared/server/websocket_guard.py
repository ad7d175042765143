"""One WebSocket's hostile side: what a peer may cost, in every phase.

uvicorn parses all that came at once, and bounds no number: a peer that sends empty frames without
end has the process to itself. Here frames are parsed by turns, what brings nothing is counted, and
whatever has begun must go on or be ended. The README beside this file has the numbers.

It leans on attributes of `WebSocketsSansIOProtocol` that no document promises: uvicorn is pinned to
its minor version, and the tests hold every promise against a real server.
"""

import asyncio
from typing import Any, Final

from uvicorn._types import ASGIReceiveEvent, ASGISendEvent
from uvicorn.config import Config
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState
from websockets.frames import Frame
from websockets.http11 import Request
from websockets.protocol import OPEN

from sharezync_shared.addresses import UNKNOWN
from sharezync_shared.server.frame_reader import (
    BULK_BYTES,
    PACE_BYTES_PER_SECOND,
    PACE_GRACE_SECONDS,
    READ_BYTES,
    SMALL_BYTES,
    TURN_FRAMES,
    FrameBudget,
    FrameReader,
    FrameStream,
    Growth,
)
from sharezync_shared.server.light import Gate, Mailbox
from sharezync_shared.server.settings import WebSocketSettings
from sharezync_shared.server.turns import Turn, Turns
from sharezync_shared.server.unfinished import UnfinishedMessages

GRACE_SECONDS: Final = 10.0
"""How long a closing peer may take to read what was written; then its buffer is thrown away."""

MAX_FRAGMENTS: Final = 1024
"""Of one message, however long. Its size is bounded by uvicorn; each fragment costs beside it."""
LINGER_BYTES: Final = 8 * 1024 * 1024
"""Read, and thrown away, from a peer that was failed. Closing with bytes unread resets the
connection, and may destroy the close frame on its way (RFC 9293 §3.10.7); a client that keeps to a
window of chunks has less on the way."""


class GuardedWebSocketProtocol(WebSocketsSansIOProtocol):
    """uvicorn's WebSocket protocol with bounds."""

    wanted_bytes = READ_BYTES
    abort_timer: asyncio.TimerHandle | None = None
    budget: FrameBudget | None = None
    accepted = False
    reading_stopped = False
    next_turn: asyncio.Handle | Turn | None = None
    """When parsing goes on; reading is paused until then."""
    growth: Growth | None = None
    growth_timer: asyncio.TimerHandle | None = None
    messages = 0
    """How many came whole."""
    received_at_ping = 0
    unfinished_bytes = 0
    """What is held of a message that has not come whole, and is more than a read."""
    linger_bytes_left: int | None = None
    """Not None: the connection was failed, and what comes is thrown away."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        settings: WebSocketSettings,
        turns: Turns,
        unfinished: UnfinishedMessages,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.settings = settings
        self.turns = turns
        self.unfinished = unfinished
        self.queue = Mailbox()  # type: ignore[assignment]  # what is used of it, it has
        self.writable = Gate()  # type: ignore[assignment]  # as above
        self.writable.set()
        self.stream = self.conn.reader = FrameStream()
        self.conn.parser = self.conn.parse()  # anew: it has begun with the stream that it had
        next(self.conn.parser)

    def data_received(self, data: bytes) -> None:
        if self.linger_bytes_left is not None:
            self._throw_away(len(data))
            return
        # Nothing may come before the handshake is answered (RFC 6455 §4.1): then it is read.
        self.stream.frames_left = TURN_FRAMES if self.accepted else 0
        self.conn.receive_data(data)
        self.handle_events()
        if self.conn.parser_exc is not None and self.linger_bytes_left is None:
            self._report_failure()  # only now: what was whole before counts
        if not self.handshake_initiated and self.conn.handshake_exc is not None:
            # Its headers were too long, or too many. websockets has an answer ready; uvicorn does
            # not look for one, and would keep the connection open and silent.
            self.transport.write(b"".join(self.conn.data_to_send()))
            self.transport.close()
        self._note_unfinished()
        if self.growth_timer is None and self._unfinished is not None:
            self._watch_growth()
        self._end_turn()

    def handle_connect(self, event: Request) -> None:
        super().handle_connect(event)
        self._regulate_reading()

    async def send(self, message: ASGISendEvent) -> None:
        if message["type"] == "websocket.close" and self.accepted and not self.close_sent:
            # uvicorn would resume reading whatever else there is to wait for.
            self.close(message.get("code", 1000), message.get("reason") or "")
            return
        await super().send(message)
        if message["type"] == "websocket.http.response.body" and self.close_sent:
            # Refused with an answer of the application's. uvicorn takes that for none, and logs
            # an error for each.
            self.handshake_complete = True

    async def receive(self) -> ASGIReceiveEvent:
        if self.queue.empty():
            self._resume()
        else:
            await asyncio.sleep(0)  # or an application that waits for nothing acts on 64 in a row
        message = await self.queue.get()
        text = message.get("text")
        # Who acts on a large text holds it several times over: the next one can wait in the kernel.
        if self.queue.empty() and not (isinstance(text, str) and len(text) > READ_BYTES):
            self._resume()
        return message

    def _resume(self) -> None:
        """Read on, where only the application was waited for."""
        if self.read_paused:
            self.read_paused = False
            self._end_turn()

    def start_keepalive(self) -> None:
        super().start_keepalive()
        self.transport.set_protocol(FrameReader(self, self.stream))
        self.accepted = True
        self._end_turn()

    def limit_messages(self, most_bytes: int | None) -> None:
        """Bound what the peer may send; see `FramePort.limit_messages`."""
        settings = self.settings.max_message_bytes
        self.conn.max_message_size = settings if most_bytes is None else min(most_bytes, settings)

    def close(self, code: int, reason: str = "") -> None:
        """Close behind what was written; see `FramePort.close`."""
        if self.conn.state is OPEN and not self.disconnected:
            self.conn.send_close(code, reason)
            self._close_sent(code, reason)

    # --- turns -----------------------------------------------------------------------------------

    def _end_turn(self) -> None:
        """See to it that parsing goes on later where it stopped, and reading when that is done."""
        if self.accepted and self.next_turn is None and not self.read_paused:
            wait_seconds = self.budget.wait_seconds() if self.budget is not None else 0.0
            if wait_seconds and self.close_sent:
                self.transport.abort()  # it goes on instead of answering the close frame
            elif wait_seconds:
                self.next_turn = self.loop.call_later(wait_seconds, self._take_turn)
            elif self.stream.has_more:
                self.next_turn = self.turns.soon(
                    self.loop, self._take_turn, self.client[0] if self.client else UNKNOWN
                )
        self._regulate_reading()

    def _take_turn(self) -> bool:
        self.next_turn = None
        if self.transport.is_closing():
            return False
        if self.budget is not None:
            self.budget.refill(self.loop.time())
        if self.stream.has_more and not self.read_paused:
            self.data_received(b"")
        else:
            self._end_turn()
        return True

    def _regulate_reading(self) -> None:
        """Read while the application waits for messages, and all that was read is parsed."""
        stop = self.linger_bytes_left is None and (
            not self.accepted or self.read_paused or self.next_turn is not None
        )
        if stop == self.reading_stopped or self.transport.is_closing():
            return
        self.reading_stopped = stop
        if stop:
            self.transport.pause_reading()
        else:
            self.transport.resume_reading()

    # --- what a peer may cost --------------------------------------------------------------------

    def handle_text(self, event: Frame) -> None:
        if event.fin or self._is_welcome(event):
            super().handle_text(event)
        event.data = b""  # the parser holds each frame until the next one comes

    def handle_bytes(self, event: Frame) -> None:
        if event.fin or self._is_welcome(event):
            super().handle_bytes(event)
        event.data = b""

    def handle_cont(self, event: Frame) -> None:
        if len(self.frames) >= MAX_FRAGMENTS:
            self._fail(1008, "too many fragments")
        elif event.fin or self._is_welcome(event):
            super().handle_cont(event)
        event.data = b""

    def handle_ping(self) -> None:
        pong = self.conn.data_to_send()
        # A peer that pings and never reads would fill the buffer with answers. Only the latest
        # ping needs one (RFC 6455 §5.5.3), and this peer's latest is still to come.
        if self._spend_overhead() and self.writable.is_set():
            self.transport.write(b"".join(pong))

    def handle_pong(self, event: Frame) -> None:
        if self._spend_overhead():
            super().handle_pong(event)

    def send_receive_event_to_app(self) -> None:
        frames, self.frames = self.frames, []
        self.messages += 1
        size = sum(map(len, frames))
        if size < BULK_BYTES:
            self._budget.spend_message(self.loop.time())
        if self.close_sent:
            return
        data = frames[0] if len(frames) == 1 else b"".join(frames)
        if self.curr_msg_data_type == "bytes":
            self.queue.put_nowait({"type": "websocket.receive", "bytes": data})
        else:
            try:
                text = data.decode()
            except UnicodeDecodeError:
                self._fail(1007, "text must be UTF-8")
                return
            self.queue.put_nowait({"type": "websocket.receive", "text": text})
        self.read_paused = True  # until the application has taken it

    @property
    def _budget(self) -> FrameBudget:
        if self.budget is None:
            self.budget = FrameBudget(self.loop.time())
        return self.budget

    def _is_welcome(self, fragment: Frame) -> bool:
        return len(fragment.data) >= SMALL_BYTES or self._spend_overhead()

    def _spend_overhead(self) -> bool:
        """Count a frame that brings nothing; False if the peer is not listened to any more."""
        if self.linger_bytes_left is not None:
            return False
        if self._budget.spend_overhead(self.loop.time()):
            return True
        self._fail(self.settings.flooding_close_code, "flooding")
        return False

    @property
    def _unfinished(self) -> tuple[int, int] | None:
        """What has begun to come and isn't whole: tells one message or frame from others."""
        if self.conn.current_size is not None:
            return self.messages, 0
        return (self.messages, self.stream.frames_begun) if self.stream.in_frame else None

    @property
    def received_bytes(self) -> int:
        return self.stream.received_bytes

    def fail_unfinished(self) -> None:
        self._fail(1013, "too much has begun")

    def _note_unfinished(self) -> None:
        buffered_bytes = (self.conn.current_size or 0) + self.stream.large_frame_bytes
        if buffered_bytes != self.unfinished_bytes and self.linger_bytes_left is None:
            self.unfinished_bytes = buffered_bytes
            self.unfinished.note(self, buffered_bytes, self.loop.time())

    def _watch_growth(self) -> None:
        now, received = self.loop.time(), self.stream.received_bytes
        message = self._unfinished
        if message is None:
            self.growth = self.growth_timer = None
            return
        if self.growth is None or self.reading_stopped:  # not read: not the peer's fault
            self.growth = Growth(message, received, now)
        elif self.growth.is_too_slow(message, received, now):
            self._fail(1008, "too slow a message")
            return
        self.growth_timer = self.loop.call_later(PACE_GRACE_SECONDS, self._watch_growth)

    def send_keepalive_ping(self) -> None:
        self.received_at_ping = self.stream.received_bytes
        super().send_keepalive_ping()

    def keepalive_timeout(self) -> None:
        self.pong_timer = None
        if self._may_answer_later():
            self.received_at_ping = self.stream.received_bytes
            self.pong_timer = self.loop.call_later(self.ping_timeout or 0, self.keepalive_timeout)
            return
        # The peer is gone, or reads nothing: there is no point in waiting for it.
        self.close(self.settings.silent_close_code, "no answer to pings")

    def _may_answer_later(self) -> bool:
        """Whether a pong is still to be expected, from a peer that has read its ping.

        It comes behind all that the peer has sent already: on a slow line, that is a chunk or two.
        """
        if self.transport.get_write_buffer_size():
            return False
        due = PACE_BYTES_PER_SECOND * (self.ping_timeout or 0)
        return self.stream.received_bytes - self.received_at_ping >= due

    def on_task_complete(self, task: asyncio.Task[None]) -> None:
        super().on_task_complete(task)
        # However the application ended, uvicorn now closes the transport, and that waits until
        # the peer has read everything. Who asked to close and then stalls would hold the buffer.
        if not self.disconnected and self.abort_timer is None:
            self.abort_timer = self.loop.call_later(GRACE_SECONDS, self.transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self.unfinished.discard(self)
        for timer in (self.abort_timer, self.growth_timer, self.next_turn):
            if timer is not None:
                timer.cancel()

    # --- failing a peer (RFC 6455 §7.1.7) --------------------------------------------------------

    def _fail(self, code: int, reason: str) -> None:
        if self.linger_bytes_left is None:
            self.conn.fail(code, reason)
            self._report_failure()

    def _report_failure(self) -> None:
        """End the connection for what the peer sent, and listen to nothing more."""
        self.frames = []
        self.unfinished.discard(self)
        if self.close_sent:  # and this is how it is answered
            self.transport.abort()
            return
        close = self.conn.close_sent
        code, reason = (close.code, close.reason) if close is not None else (1006, "")
        self.linger_bytes_left = LINGER_BYTES
        self._close_sent(code, reason)
        if self.transport.can_write_eof():
            self.transport.write_eof()

    def _close_sent(self, code: int, reason: str) -> None:
        """Send the close frame that lies ready; nothing more of the peer is passed on."""
        self.stop_keepalive()
        self.queue.put_nowait({"type": "websocket.disconnect", "code": code, "reason": reason})
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        self.read_paused = False  # or the peer's answer to the close frame is never seen
        self._end_turn()
        # uvicorn's own timer closes politely, that is, waits for a stalled peer for ever.
        self.close_timer = self.loop.call_later(GRACE_SECONDS, self.transport.abort)

    def _throw_away(self, size: int) -> None:
        self.linger_bytes_left = (self.linger_bytes_left or 0) - size
        if self.linger_bytes_left < 0:
            self.transport.abort()
