"""Opening a socket, from the handshake to `ready`, and what to do after it was closed."""

import asyncio
import json
import socket
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from typing import Final
from urllib.parse import urlsplit, urlunsplit
from uuid import UUID

import httpx
import websockets
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidHandshake, InvalidStatus
from websockets.frames import CloseCode

from sharezync.backoff import MOST_SECONDS, between, jittered
from sharezync.problems import NotUnderstood
from sharezync.realtime.cursors import Cursor, Cursors
from sharezync.shapes import Json, parsed, understood

SUBPROTOCOL: Final = "sharezync.v1"

_OPEN_SECONDS: Final = 15.0
_MOST_FRAME_BYTES: Final = 4 * 1024 * 1024
_CURSORS_AT_ONCE: Final = 500
"""So many fit into a frame of 64 KiB."""
_BUFFER_BYTES: Final = 4 * 1024 * 1024
_TRANSFER_ID: Final = slice(4, 20)


@dataclass(frozen=True, slots=True)
class ReconnectAdvice:
    """Whether to come back, and how."""

    again: bool
    least_seconds: float = 0.0
    """The pause, before jitter, at the first attempt."""
    renew: bool = False
    """Whether a fresh token is needed first."""

    def pause_seconds(self, attempt: int, *, asked_seconds: float | None = None) -> float:
        """Return how long to wait before attempt number `attempt` + 1 since it last went well.

        What the server asked for (`bye`, `Retry-After`) is spread up to twice as long: it asked
        everybody.
        """
        if asked_seconds is not None:
            return min(between(asked_seconds, 2 * asked_seconds), 60.0)
        least = between(self.least_seconds, 1.5 * self.least_seconds)
        return least if attempt == 0 else min(least + jittered(attempt), 2 * MOST_SECONDS)


_STOP: Final = ReconnectAdvice(again=False)
_AGAIN: Final = ReconnectAdvice(again=True, least_seconds=0.1)

_BY_CODE: Final = {
    1009: _STOP,  # we sent a frame over the limit, and would again
    4001: ReconnectAdvice(again=True, least_seconds=0.0),  # going away: others are there
    4008: ReconnectAdvice(again=True, least_seconds=0.5),  # too slow
    4009: ReconnectAdvice(again=True, least_seconds=0.0),  # idle: the line was dead
    4013: ReconnectAdvice(again=True, least_seconds=1.0),  # try later
    4029: ReconnectAdvice(again=True, least_seconds=5.0),  # flooding
    4501: ReconnectAdvice(again=True, least_seconds=0.0, renew=True),  # bad token
}


def after_close(code: int) -> ReconnectAdvice:
    """Return what to do after this close code; 4500 to 4999 mean not to come back.

    4501 is answered with a fresh token; the caller gives up where that is refused as well.
    """
    if code in _BY_CODE:
        return _BY_CODE[code]
    return _STOP if 4500 <= code <= 4999 else _AGAIN


def after_refusal(status: int) -> ReconnectAdvice:
    """Return what to do after a handshake was answered with this HTTP status."""
    if status == httpx.codes.UNAUTHORIZED:
        return ReconnectAdvice(again=True, renew=True)
    if status in {httpx.codes.REQUEST_TIMEOUT, httpx.codes.TOO_MANY_REQUESTS} or status >= 500:
        return ReconnectAdvice(again=True, least_seconds=0.5)
    return _STOP


class SocketBroken(Exception):
    """A socket broke or could not be opened; `advice` is what to do, where it isn't by the code."""

    def __init__(
        self,
        code: int,
        reason: str,
        *,
        advice: ReconnectAdvice | None = None,
        asked_seconds: float | None = None,
    ) -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason
        self.advice = advice
        self.asked_seconds = asked_seconds


class OpenSocket:
    """A socket that is `ready`."""

    def __init__(self, connection: ClientConnection, ready: Json) -> None:
        self._connection = connection
        with understood(ready):
            self.user_id: str = ready["user"]
            self.device_id: str | None = ready.get("device")
            self.heads: dict[str, Cursor] = {
                stream: (str(epoch), int(seq)) for stream, (epoch, seq) in ready["heads"].items()
            }

    @staticmethod
    def chunk_of(frame: bytes) -> str:
        """Return the transfer that a binary frame belongs to."""
        return str(UUID(bytes=frame[_TRANSFER_ID])) if len(frame) >= _TRANSFER_ID.stop else ""

    async def send(self, message: str | bytes | bytearray | memoryview) -> None:
        """Send a message; waits while the socket takes no more. Raises SocketBroken."""
        try:
            await self._connection.send(message)
        except websockets.ConnectionClosed as error:
            raise _broken_by(error) from error

    async def receive(self) -> str | bytes:
        """Return the next message. Raises SocketBroken."""
        try:
            return await self._connection.recv()  # no longer than `_MOST_FRAME_BYTES`
        except websockets.ConnectionClosed as error:
            raise _broken_by(error) from error

    async def aclose(self) -> None:
        """Close it. Safe to repeat; what was received and not taken is lost."""
        with suppress(OSError, websockets.WebSocketException):
            await self._connection.close()


def _broken_by(error: websockets.ConnectionClosed) -> SocketBroken:
    if error.rcvd is not None:
        return SocketBroken(error.rcvd.code, error.rcvd.reason)
    if error.sent is not None and error.sent.code == CloseCode.MESSAGE_TOO_BIG:
        return SocketBroken(error.sent.code, "a message of the server's is too long: it isn't read")
    return SocketBroken(1006, "the connection was lost")


async def open_socket(base_url: str, device: str, token: str, cursors: Cursors) -> OpenSocket:
    """Open a device's socket, to be resumed from the cursors. Raises SocketBroken.

    The token comes in a frame together with the cursors: nothing live can come before what was
    missed.
    """
    url = urlsplit(base_url)
    scheme = "wss" if url.scheme == "https" else "ws"
    address = urlunsplit((scheme, url.netloc, f"{url.path}/ws/{device}", "", ""))
    try:
        async with asyncio.timeout(_OPEN_SECONDS):
            connection = await connect(
                address,
                subprotocols=[websockets.Subprotocol(SUBPROTOCOL)],
                compression=None,  # chunks of files don't get smaller, only slower
                max_size=_MOST_FRAME_BYTES,
                max_queue=32,
                write_limit=_BUFFER_BYTES,
                close_timeout=2,
                open_timeout=None,
                ping_interval=20,
                ping_timeout=20,
                user_agent_header="sharezync-python",
            )
    except InvalidStatus as error:
        raise _refused(error) from error
    except (OSError, InvalidHandshake, TimeoutError, EOFError) as error:
        raise SocketBroken(1006, str(error) or type(error).__name__) from error
    try:
        async with asyncio.timeout(_OPEN_SECONDS):
            return await _enter(connection, address, token, cursors)
    except websockets.ConnectionClosed as error:
        raise _broken_by(error) from error
    except BaseException as error:
        with suppress(OSError, websockets.WebSocketException):
            await connection.close()
        if isinstance(error, TimeoutError):
            raise SocketBroken(1006, "the server did not answer in time") from error
        raise


async def _enter(
    connection: ClientConnection, address: str, token: str, cursors: Cursors
) -> OpenSocket:
    raw = connection.transport.get_extra_info("socket")
    if raw is not None:  # a whole chunk should fit, or every one is handed over in pieces
        with suppress(OSError):
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER_BYTES)
    seen = iter(cursors.all().items())
    first = {
        "type": "authenticate",
        "token": token,
        "cursors": dict(islice(seen, _CURSORS_AT_ONCE)),
    }
    await connection.send(json.dumps(first))
    while more := dict(islice(seen, _CURSORS_AT_ONCE)):
        await connection.send(json.dumps({"type": "resume", "cursors": more}))
    while True:
        frame = parsed(await connection.recv(), address)
        if frame["type"] == "ready":
            return OpenSocket(connection, frame)


def _refused(error: InvalidStatus) -> SocketBroken:
    status = error.response.status_code
    detail = f"the handshake was refused with {status}"
    with suppress(NotUnderstood):
        detail = str(parsed(error.response.body or b"", "the handshake").get("detail", detail))
    asked: float | None = None
    with suppress(ValueError, TypeError):
        asked = float(error.response.headers.get("Retry-After"))  # type: ignore[arg-type]  # None: TypeError
    return SocketBroken(status, detail, advice=after_refusal(status), asked_seconds=asked)
