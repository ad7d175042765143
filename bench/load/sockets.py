"""A WebSocket client that does as little as possible, so that it measures the server.

It knows just enough of RFC 6455: it counts marks in what it reads, and takes frames apart only
where somebody wants to know what is in them.
"""

import asyncio
import base64
import json
import os
import struct
from collections.abc import Callable
from typing import Any, Final, cast
from urllib.parse import urlsplit

MARK: Final = b"|"
"""Occurs once in each message's text. In a frame's head it would be a part of its length:
`_take_frames` watches out for those."""

_SHARED: Final = bytearray(1 << 18)  # read into, looked at, forgotten: one for all sockets
_VIEW: Final = memoryview(_SHARED)

OnFrame = Callable[["LeanSocket", bytes], None]


class LeanSocket(asyncio.BufferedProtocol):
    """One connected device. `marks` counts deliveries; with `on_frame` each text is handed over."""

    def __init__(self, on_marks: Callable[[int], None]) -> None:
        self._on_marks = on_marks
        self.on_frame: OnFrame | None = None
        self.lost = False
        self._tail = b""
        self._handshake = b""
        self._ready: asyncio.Future[None] | None = None
        self._open = False

    @classmethod
    async def connect(
        cls, base_url: str, path: str, token: str, on_marks: Callable[[int], None]
    ) -> "LeanSocket":
        """Return a socket that has been told `ready`."""
        url = urlsplit(base_url)
        loop = asyncio.get_running_loop()
        _, socket = await loop.create_connection(lambda: cls(on_marks), url.hostname, url.port)
        async with asyncio.timeout(60):
            await socket.open(url.netloc, path, token)
        return socket

    async def open(self, host: str, path: str, token: str) -> None:
        """Shake hands, and wait for `ready`."""
        self._ready = asyncio.get_running_loop().create_future()
        head = [
            f"GET {path} HTTP/1.1",
            f"Host: {host}",
            "Upgrade: websocket",
            "Connection: Upgrade",
            f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}",
            "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Protocol: sharezync.v1",
            f"Authorization: Bearer {token}",
        ]
        self._transport.write("\r\n".join([*head, "", ""]).encode())
        await self._ready

    def send(self, message: dict[str, Any]) -> None:
        """Send a text frame."""
        payload = json.dumps(message, separators=(",", ":")).encode()
        mask = os.urandom(4)
        length = len(payload)
        head = struct.pack(">BB", 0x81, 0x80 | length) if length < 126 else struct.pack(
            ">BBH", 0x81, 0xFE, length
        )  # fmt: skip
        key = int.from_bytes((mask * (length // 4 + 1))[:length], "big")
        masked = (int.from_bytes(payload, "big") ^ key).to_bytes(length, "big")
        self._transport.write(head + mask + masked)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def get_buffer(self, _sizehint: int) -> memoryview:
        return _VIEW

    def buffer_updated(self, nbytes: int) -> None:
        if not self._open:
            self._greet(bytes(_VIEW[:nbytes]))
            return
        if self.on_frame is None:
            if not self._answer_ping(nbytes) and (marks := _SHARED.count(MARK, 0, nbytes)):
                self._on_marks(marks)
            return
        self._tail = self._take_frames(self._tail + bytes(_VIEW[:nbytes]))

    def connection_lost(self, _exc: Exception | None) -> None:
        self.lost = True
        if self._ready is not None and not self._ready.done():
            self._ready.set_exception(ConnectionError(repr(self._handshake[-300:])))

    def close(self) -> None:
        """Hang up."""
        self._transport.close()

    def _greet(self, data: bytes) -> None:
        self._handshake += data
        if b'"type":"ready"' in self._handshake and self._ready and not self._ready.done():
            self._open = True
            self._ready.set_result(None)

    def _answer_ping(self, nbytes: int) -> bool:
        """Return whether there was nothing but a ping.

        One that hides among messages is answered by those, and its four random bytes are taken for
        a mark once in 64 times.
        """
        if nbytes > 6 or _SHARED[0] != 0x89:
            return False
        body = bytes(_SHARED[2 : 2 + (_SHARED[1] & 0x7F)])
        self._transport.write(bytes([0x8A, 0x80 | len(body), 0, 0, 0, 0]) + body)
        return True

    def _take_frames(self, data: bytes) -> bytes:
        """Hand over every whole frame; return what is left."""
        assert self.on_frame is not None
        at = 0
        while len(data) - at >= 2:
            length, begin = data[at + 1] & 0x7F, at + 2
            if length == 126:
                if len(data) < at + 4:
                    break
                length, begin = int.from_bytes(data[at + 2 : at + 4], "big"), at + 4
            elif length == 127:
                if len(data) < at + 10:
                    break
                length, begin = int.from_bytes(data[at + 2 : at + 10], "big"), at + 10
            if MARK[0] in data[at:begin]:
                raise RuntimeError(f"frames of {length} bytes can't be told from messages")
            if len(data) < begin + length:
                break
            payload = data[begin : begin + length]
            if data[at] & 0x0F == 9:
                head = bytes([0x8A, 0x80 | length, 0, 0, 0, 0])
                self._transport.write(head + payload)
            else:
                self.on_frame(self, payload)
            at = begin + length
        return data[at:]
