"""The `FramePort` for servers that offer none: test clients, and whatever comes after uvicorn."""

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Final

from starlette.types import Message, Send

from sharezync_shared.server.frames import TEXT, decode_frames

_HIGH_WATER_BYTES: Final = 256 * 1024


class AsgiFramePort:
    """Passes finished frames to plain ASGI `send`, one after the other, in a task of its own.

    Same promises as `websocket_protocol.FramePort`, with the queue here instead of in the
    transport. The task lives only while there is something to send.
    """

    def __init__(self, send: Send) -> None:
        self._send = send
        self._waiting: deque[Message] = deque()
        self._bytes = 0
        self._task: asyncio.Task[None] | None = None
        self._open = True
        self._writable = asyncio.Event()
        self._writable.set()

    @property
    def buffered_bytes(self) -> int:
        return self._bytes

    def write(self, frame: bytes) -> bool:
        if not self._open or not self._writable.is_set():
            return False
        self._enqueue(frame)
        return True

    def write_within(self, frame: bytes, limit_bytes: int) -> bool:
        if not self._open or self._bytes + len(frame) > limit_bytes:
            return False
        self._enqueue(frame)
        return True

    def write_parts(self, parts: Sequence[bytes]) -> bool:
        return self.write(b"".join(parts))

    async def wait_writable(self) -> bool:
        await self._writable.wait()
        return self._open

    def limit_messages(self, most_bytes: int | None) -> None:
        """The server can't be told."""

    def close(self, code: int, reason: str = "") -> None:
        if self._open:
            self._open = False
            self._put({"type": "websocket.close", "code": code, "reason": reason})

    def _enqueue(self, frame: bytes) -> None:
        for first, payload in decode_frames(frame):
            self._bytes += len(payload)
            if first == TEXT:
                self._put({"type": "websocket.send", "text": payload.decode()})
            else:
                self._put({"type": "websocket.send", "bytes": payload})
        if self._bytes > _HIGH_WATER_BYTES:
            self._writable.clear()

    def _put(self, message: Message) -> None:
        self._waiting.append(message)
        if self._task is None:
            self._task = asyncio.create_task(self._pump())

    async def _pump(self) -> None:
        try:
            while self._waiting:
                message = self._waiting.popleft()
                await self._send(message)
                body = message.get("text") or message.get("bytes") or ""
                self._bytes -= len(body.encode() if isinstance(body, str) else body)
                if not self._bytes:
                    self._writable.set()
        except (OSError, RuntimeError):  # the client is gone, or the server has closed
            self._open = False
            self._waiting.clear()
            self._bytes = 0
            self._writable.set()
        finally:
            self._task = None
