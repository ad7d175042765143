"""The two ends of a transfer as programs: a sender and a receiver that do as little as possible.

    python bench/load/transfer_ends.py send URL DEVICE FILE RECIPIENT_ID     token in $TOKEN
    python bench/load/transfer_ends.py receive URL DEVICE INTO

Blocking sockets, one thread each, and few imports: an app would have started long ago, and what
those of an interpreter take is no server's. What a client owes is done all the same: digests made
and checked, everything read from and written to files, windows and acknowledgements kept. Each
prints one line of JSON last, with times on the machine's monotonic clock.
"""

from __future__ import annotations

import hashlib
import json
import os
import select
import socket
import struct
import sys
import time
from binascii import b2a_base64

TYPE_CHECKING = False  # typing's own costs its import
if TYPE_CHECKING:
    from typing import Any

MIB = 2**20
HEADER = struct.Struct(">BBH16sIII32s")
_TEXT, _BINARY, _CLOSE, _PING = 1, 2, 8, 9
# RFC 6455 has clients mask with what can't be foreseen, against proxies that take a frame for
# something else. There is none here, and XOR with zero spares the client, not the server.
_NO_MASK = b"\0\0\0\0"
_TIMEOUT_SECONDS = 600
_SOON_SECONDS = 0.2


class Wire:
    """A WebSocket that blocks."""

    def __init__(self, url: str, device: str, token: str) -> None:
        self._socket = _connected(url)
        self._buffer = memoryview(bytearray(4 * MIB))
        self._begin = self._end = 0
        head = [
            f"GET /ws/{device} HTTP/1.1",
            f"Host: {_netloc(url)}",
            "Upgrade: websocket",
            "Connection: Upgrade",
            f"Sec-WebSocket-Key: {b2a_base64(os.urandom(16), newline=False).decode()}",
            "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Protocol: sharezync.v1",
            f"Authorization: Bearer {token}",
        ]
        self._socket.sendall("\r\n".join([*head, "", ""]).encode())
        while (at := bytes(self._buffer[: self._end]).find(b"\r\n\r\n")) < 0:
            self._fill()
        if b" 101 " not in bytes(self._buffer[:at]):
            raise RuntimeError(bytes(self._buffer[: self._end]))
        self._begin = at + 4
        self.until("ready")

    def say(self, **message: object) -> None:
        """Send a text frame."""
        self._send(_TEXT, [json.dumps(message, separators=(",", ":")).encode()])

    def send_chunk(self, header: bytes, payload: memoryview) -> None:
        """Send a binary frame, its two parts uncopied."""
        self._send(_BINARY, [header, payload])

    def next(self) -> tuple[int, memoryview]:
        """Return opcode and payload of the next frame; the payload is good until the next call."""
        while True:
            opcode, begin, length = self._head()
            while self._end - begin < length:
                begin -= self._fill(begin + length)
            self._begin = begin + length
            payload = self._buffer[begin : begin + length]
            if opcode == _PING:
                self._send(10, [bytes(payload)])
            elif opcode == _CLOSE:
                raise RuntimeError(f"closed: {bytes(payload)!r}")
            else:
                return opcode, payload

    def waits(self, seconds: float) -> bool:
        """Whether there is something to read, or comes within so many seconds."""
        return self._begin < self._end or bool(select.select([self._socket], [], [], seconds)[0])

    def until(self, *types: str) -> dict[str, Any]:
        """Return the next text frame of one of these types; others are passed over."""
        while True:
            opcode, payload = self.next()
            if opcode != _TEXT:
                continue
            frame: dict[str, Any] = json.loads(bytes(payload))
            if frame["type"] == "error":
                raise RuntimeError(frame)
            if frame["type"] in types:
                return frame

    def _head(self) -> tuple[int, int, int]:
        while True:
            have = self._end - self._begin
            if have >= 2:
                length, size = self._buffer[self._begin + 1] & 0x7F, 2
                if length == 126:
                    size = 4
                elif length == 127:
                    size = 10
                if have >= size:
                    if size > 2:
                        at = self._begin + 2
                        length = int.from_bytes(self._buffer[at : at + size - 2], "big")
                    return self._buffer[self._begin] & 0x0F, self._begin + size, length
            self._fill()

    def _fill(self, wanted: int = 0) -> int:
        """Read more; return by how much everything moved towards the front."""
        moved = 0
        if self._end == len(self._buffer) or wanted > len(self._buffer):
            moved, left = self._begin, self._end - self._begin
            self._buffer[:left] = bytes(self._buffer[self._begin : self._end])
            self._begin, self._end = 0, left
        count = self._socket.recv_into(self._buffer[self._end :])
        if not count:
            raise RuntimeError("the connection is gone")
        self._end += count
        return moved

    def _send(self, opcode: int, parts: list[bytes | memoryview]) -> None:
        length = sum(map(len, parts))
        if length < 126:
            head = bytes((0x80 | opcode, 0x80 | length))
        elif length < 65536:
            head = struct.pack(">BBH", 0x80 | opcode, 0xFE, length)
        else:
            head = struct.pack(">BBQ", 0x80 | opcode, 0xFF, length)
        left: list[bytes | memoryview] = [head + _NO_MASK, *parts]
        while left:
            sent = self._socket.sendmsg(left)
            while left and sent >= len(left[0]):
                sent -= len(left.pop(0))
            if sent:
                left[0] = memoryview(left[0])[sent:]


def send(url: str, device: str, path: str, recipient_id: str) -> dict[str, Any]:
    """Offer a file, send it, and see it through."""
    fd = os.open(path, os.O_RDONLY)
    size = os.fstat(fd).st_size
    wire = Wire(url, device, os.environ["TOKEN"])
    offered_at = time.monotonic()
    wire.say(
        type="file_transfer_start",
        id=1,
        recipients=[{"user_id": recipient_id}],
        files=[{"name": "f.bin", "size": size}],
    )
    transfer = wire.until("reply")["data"]
    chunk_bytes, window = transfer["chunk_size_bytes"], transfer["window_bytes"]
    transfer_id = bytes.fromhex(transfer["id"].replace("-", ""))
    buffer = memoryview(bytearray(chunk_bytes))
    sent = acknowledged = 0
    opened = chunk_bytes  # one chunk, then by as much as is acknowledged, as our client does
    first_at = None
    while sent < size:
        while sent - acknowledged + chunk_bytes > min(window, opened):
            ack = wire.until("chunk_ack")
            opened += ack["next"] * chunk_bytes - acknowledged
            acknowledged, window = ack["next"] * chunk_bytes, ack["window"]
        count = os.readv(fd, [buffer])
        payload = buffer[:count]
        digest = hashlib.sha256(payload).digest()
        header = HEADER.pack(1, 1, 0, transfer_id, 0, sent // chunk_bytes, count, digest)
        first_at = first_at or time.monotonic()
        wire.send_chunk(header, payload)
        sent += count
    while acknowledged < size:
        acknowledged = wire.until("chunk_ack")["next"] * chunk_bytes
    stored_at = time.monotonic()
    wire.say(type="transfer_complete", id=2, transfer_id=transfer["id"])
    awaited = {"reply", "transfer_completed"}  # in any order
    while awaited:
        awaited.discard(wire.until(*awaited)["type"])
    return {"offered_at": offered_at, "first_at": first_at, "stored_at": stored_at}


def receive(url: str, device: str, into: str) -> dict[str, Any]:
    """Take the first offer there is, or comes, and everything of it."""
    wire = Wire(url, device, os.environ["TOKEN"])
    # Who was there before the offer hears of it; who was not, asks.
    missed = None if wire.waits(_SOON_SECONDS) else _offered(url)
    offer = missed or wire.until("incoming_transfer")["data"]
    wire.say(type="transfer_accept", id=1, transfer_id=offer["id"])
    size, chunk_bytes = offer["files"][0]["size_bytes"], offer["chunk_size_bytes"]
    count = -(-size // chunk_bytes)
    kept = bytearray(count)
    first_missing = got = 0
    first_at = None
    fd = os.open(into, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    while got < count:
        opcode, frame = wire.next()
        if opcode != _BINARY:
            continue
        first_at = first_at or time.monotonic()
        index, digest = HEADER.unpack_from(frame)[5], HEADER.unpack_from(frame)[7]
        payload = frame[HEADER.size :]
        if hashlib.sha256(payload).digest() != digest:
            raise RuntimeError(f"chunk {index} is damaged")
        os.pwrite(fd, payload, index * chunk_bytes)
        got += not kept[index]
        kept[index] = True
        while first_missing < count and kept[first_missing]:
            first_missing += 1
        indexes = [] if index < first_missing else [index]
        wire.say(
            type="chunk_ack", transfer_id=offer["id"], file=0, next=first_missing, indexes=indexes
        )
    kept_at = time.monotonic()
    wire.until("transfer_completed")
    os.close(fd)
    return {"first_at": first_at, "kept_at": kept_at}


def _offered(url: str) -> dict[str, Any] | None:
    """Return what was offered before we came: nobody tells us of that again."""
    asking = _connected(url)
    asking.sendall(
        "\r\n".join(
            [
                "GET /v1/transfers?role=recipient&limit=1 HTTP/1.1",
                f"Host: {_netloc(url)}",
                f"Authorization: Bearer {os.environ['TOKEN']}",
                "Connection: close",
                "",
                "",
            ]
        ).encode()
    )
    answer = b""
    while piece := asking.recv(65536):
        answer += piece
    asking.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    if b" 200 " not in head.partition(b"\r\n")[0]:
        raise RuntimeError(answer)
    return next((each for each in json.loads(body)["items"] if each["state"] == "offered"), None)


def _netloc(url: str) -> str:
    return url.removeprefix("http://").rstrip("/")


def _connected(url: str) -> socket.socket:
    host, _, port = _netloc(url).partition(":")
    made = socket.create_connection((host, int(port)), _TIMEOUT_SECONDS)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return made


def main() -> None:
    """Be one end, and tell how it went."""
    role, *arguments = sys.argv[1:]
    told = {"send": send, "receive": receive}[role](*arguments)
    told["ended_at"] = time.monotonic()
    told["cpu_seconds"] = time.process_time()
    print(json.dumps(told), flush=True)


if __name__ == "__main__":
    sys.exit(main())
