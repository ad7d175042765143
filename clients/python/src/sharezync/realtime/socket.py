"""One socket of one device that comes back by itself and goes on where it was."""

import asyncio
import itertools
import json
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Final, Self

from sharezync.backoff import jittered
from sharezync.problems import Problem, SharezyncError, SocketClosed, Unreachable
from sharezync.realtime.cursors import Cursor
from sharezync.realtime.frame_router import Connected, FrameQueue, FrameRouter, Incoming, Lost
from sharezync.realtime.opening import OpenSocket, SocketBroken, after_close, open_socket
from sharezync.shapes import Json, object_in, parsed, understood
from sharezync.tokens import Renewal

_COMMAND_TRIES: Final = 8
_AGAIN_SECONDS: Final = 0.01
_REAUTHENTICATE_RETRY_SECONDS: Final = 5.0
_LIVED_SECONDS: Final = 5.0
"""A connection that lived so long was a good one: pauses begin anew."""

Message = str | bytes | bytearray | memoryview


class Socket:
    """A device's socket: enter it, iterate over what comes, send commands.

    Everything that happens comes as `StreamEventFrame` in the order of its stream, once, also over
    lost connections; `StreamReset` says what to fetch again. Every command may be repeated, so one
    whose answer was lost is sent again. What is neither iterated over nor given up
    (`events=False`) is kept. It is tried for `patience_seconds` to open it again, and at first for
    `opening_seconds`.
    """

    def __init__(
        self,
        base_url: str,
        renewal: Renewal,
        device: str,
        *,
        cursors: Mapping[str, Cursor] | None = None,
        events: bool = True,
        patience_seconds: float = 60.0,
        opening_seconds: float | None = None,
    ) -> None:
        self._base_url = base_url
        self._renewal = renewal
        self._device = device
        self._router = FrameRouter(cursors, keeps_events=events)
        self._patience_seconds = patience_seconds
        self._opening_seconds = patience_seconds if opening_seconds is None else opening_seconds
        self._ids = itertools.count(1)
        self._opened: OpenSocket | None = None
        self._ready = asyncio.Event()
        self._failure: SharezyncError | None = None
        self._running: asyncio.Task[None] | None = None
        self.connections = 0
        """How often it was opened."""

    async def __aenter__(self) -> Self:
        """Open it. Raises NotLoggedIn, SocketClosed, and Unreachable after `opening_seconds`."""
        self._running = asyncio.create_task(self._run(), name=f"socket-{self._device}")
        try:
            await self.ready()
        except BaseException:
            await self._end()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._end()

    @property
    def cursors(self) -> dict[str, Cursor]:
        """How far each stream was handed out: for the next socket, also in another process."""
        return self._router.handed_out

    def __aiter__(self) -> AsyncIterator[Incoming]:
        return self._router.iterate()

    async def ready(self) -> None:
        """Wait until it is open. Raises what ended it, where it won't be any more."""
        await self._ready.wait()
        if self._failure is not None:
            raise self._failure

    def about_transfer(self, transfer_id: str) -> AbstractContextManager[FrameQueue]:
        """Open a queue of everything about one transfer, from now on."""
        return self._router.about_transfer(transfer_id)

    # --- sending -------------------------------------------------------------------------------

    async def command(self, kind: str, **members: object) -> Json:
        """Send a command and return the `data` of its reply, however often it takes.

        Raises Problem where it was refused, and what ended the socket.
        """
        for attempt in itertools.count():
            frame = await self._answer(kind, members)
            if frame["type"] == "reply":
                return object_in(frame, "data")
            problem = Problem.of_frame(frame)
            if not problem.retryable or attempt >= _COMMAND_TRIES:
                raise problem
            await asyncio.sleep(jittered(attempt, asked_seconds=problem.retry_after_seconds))
        raise AssertionError  # the loop above has no end

    async def send_frame(self, frame: Json) -> bool:
        """Send a frame that nobody answers; False where the socket isn't open now."""
        return await self._sent(json.dumps(frame, separators=(",", ":")))

    async def send_binary(self, frame: bytes | bytearray | memoryview) -> bool:
        """Send a binary frame; returns when it may be changed again. False as `send_frame`."""
        return await self._sent(frame)

    async def _answer(self, kind: str, members: Mapping[str, object]) -> Json:
        """Send a command until it is answered, by whichever connection."""
        while True:
            await self.ready()
            number = next(self._ids)
            with self._router.answer_to(number) as answer:
                try:
                    await self._write(json.dumps({"type": kind, "id": number, **members}))
                    return await answer
                except SocketBroken:
                    # Whether it was done is not known: every command may be repeated. That it
                    # broke may not have come to light yet where it is noticed.
                    await asyncio.sleep(_AGAIN_SECONDS)

    async def _sent(self, message: Message) -> bool:
        try:
            await self._write(message)
        except SocketBroken:
            return False
        return True

    async def _write(self, message: Message) -> None:
        if self._opened is None:
            raise SocketBroken(1006, "")
        await self._opened.send(message)

    # --- connections -----------------------------------------------------------------------------

    async def _end(self) -> None:
        if self._running is not None:
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)

    async def _run(self) -> None:
        try:
            await self._connect_forever()
        except SharezyncError as error:
            self._fail(error)
        except asyncio.CancelledError:
            self._fail(SocketClosed(1000, "the socket was closed here"))
            raise
        except Exception as error:  # noqa: BLE001 - raised where somebody waits
            self._fail(SocketClosed(1006, f"the socket broke: {error!r}"))

    def _fail(self, error: SharezyncError) -> None:
        self._failure = error
        self._ready.set()
        self._router.fail(error)

    async def _connect_forever(self) -> None:
        attempt = 0
        renewed = False
        since = time.monotonic()
        while True:
            try:
                opened = await open_socket(
                    self._base_url,
                    self._device,
                    await self._renewal.access_token(),
                    self._router.cursors,
                )
                renewed = False
                opened_at = time.monotonic()
                broken = await self._serve(opened)
                since = time.monotonic()
                if since - opened_at > _LIVED_SECONDS:  # else it is closed as soon as it is open
                    attempt = 0
            except SocketBroken as error:
                broken = error
            except Unreachable as error:  # while renewing
                broken = SocketBroken(1006, str(error))
            advice = broken.advice or after_close(broken.code)
            if not advice.again or (advice.renew and renewed):
                raise SocketClosed(broken.code, broken.reason)
            if advice.renew:
                renewed = True
                await self._renewal.access_token(refused=True)
            pause = advice.pause_seconds(attempt, asked_seconds=broken.asked_seconds)
            patience = self._patience_seconds if self.connections else self._opening_seconds
            if time.monotonic() + pause - since > patience:
                raise Unreachable(f"{self._base_url} can't be reached: {broken.reason}")
            attempt += 1
            await asyncio.sleep(pause)

    async def _serve(self, opened: OpenSocket) -> SocketBroken:
        """Receive from an open socket until it breaks; return how that was."""
        self.connections += 1
        self._opened = opened
        reauthenticating = asyncio.create_task(self._reauthenticate(), name="reauthenticate")
        self._router.connected(Connected(opened.user_id, opened.device_id, opened.heads))
        self._ready.set()
        broken = SocketBroken(1006, "")
        try:
            while True:
                message = await opened.receive()
                if isinstance(message, bytes):
                    self._router.pass_on(opened.chunk_of(message), message)
                else:
                    frame = parsed(message, f"the socket at {self._base_url}")
                    with understood(frame):
                        gap = self._router.handle_text(frame)
                    if gap is not None:
                        await self.send_frame({"type": "replay", "stream": gap[0], "after": gap[1]})
        except SocketBroken as error:
            broken = error
            broken.asked_seconds = self._router.bye_seconds
            return broken
        finally:
            self._ready.clear()
            self._opened = None
            reauthenticating.cancel()
            self._router.lost(Lost(broken.code, broken.reason), broken)
            await opened.aclose()

    async def _reauthenticate(self) -> None:
        """Keep the socket past the end of its token."""
        while True:
            await asyncio.sleep(max(0.0, self._renewal.tokens.renew_at - time.time()))
            try:
                token = await self._renewal.access_token()
                await self._write(json.dumps({"type": "authenticate", "token": token}))
            except Unreachable:
                await asyncio.sleep(_REAUTHENTICATE_RETRY_SECONDS)
            except (SharezyncError, SocketBroken):
                return  # the server closes, and why comes to light there
