"""The two ends of a transfer as programs: a sender and a receiver that do as little as possible.

    python bench/load/transfer_ends.py send URL DEVICE FILE RECIPIENT_ID     token in $TOKEN
    python bench/load/transfer_ends.py receive URL DEVICE INTO

Blocking sockets and one thread each. What a client owes is done all the same: digests made and
checked, everything read from and written to files, windows and acknowledgements kept. Each prints
one line of JSON last, with times on the machine's monotonic clock.
"""

import argparse
import base64
import hashlib
import http.client
import json
import os
import resource
import socket
import struct
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

MIB = 2**20
HEADER = struct.Struct(">BBH16sIII32s")
_TEXT, _BINARY, _CLOSE, _PING = 1, 2, 8, 9
# RFC 6455 has clients mask with what can't be foreseen, against proxies that take a frame for
# something else. There is none here, and XOR with zero spares the client, not the server.
_NO_MASK = b"\0\0\0\0"
_TIMEOUT_SECONDS = 600


class Wire:
    """A WebSocket that blocks."""

    def __init__(self, url: str, device: str, token: str) -> None:
        parts = urlsplit(url)
        self._socket = socket.create_connection((parts.hostname, parts.port), _TIMEOUT_SECONDS)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = memoryview(bytearray(4 * MIB))
        self._begin = self._end = 0
        head = [
            f"GET /ws/{device} HTTP/1.1",
            f"Host: {parts.netloc}",
            "Upgrade: websocket",
            "Connection: Upgrade",
            f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}",
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
    size = Path(path).stat().st_size
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
    transfer_id = UUID(transfer["id"]).bytes
    buffer = memoryview(bytearray(chunk_bytes))
    sent = acknowledged = 0
    first_at = None
    with Path(path).open("rb", buffering=0) as file:
        while sent < size:
            while sent - acknowledged + chunk_bytes > window:
                ack = wire.until("chunk_ack")
                acknowledged, window = ack["through"] * chunk_bytes, ack["window"]
            count = file.readinto(buffer)
            payload = buffer[:count]
            digest = hashlib.sha256(payload).digest()
            header = HEADER.pack(1, 1, 0, transfer_id, 0, sent // chunk_bytes, count, digest)
            first_at = first_at or time.monotonic()
            wire.send_chunk(header, payload)
            sent += count
    while acknowledged < size:
        acknowledged = wire.until("chunk_ack")["through"] * chunk_bytes
    stored_at = time.monotonic()
    wire.say(type="transfer_complete", id=2, transfer_id=transfer["id"])
    wire.until("reply")
    wire.until("transfer_completed")
    return {"offered_at": offered_at, "first_at": first_at, "stored_at": stored_at}


def receive(url: str, device: str, into: str) -> dict[str, Any]:
    """Take the first offer there is, or comes, and everything of it."""
    wire = Wire(url, device, os.environ["TOKEN"])
    offer = _offered(url) or wire.until("incoming_transfer")["data"]
    wire.say(type="transfer_accept", id=1, transfer_id=offer["id"])
    size, chunk_bytes = offer["files"][0]["size_bytes"], offer["chunk_size_bytes"]
    count = -(-size // chunk_bytes)
    kept = bytearray(count)
    through = got = 0
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
        while through < count and kept[through]:
            through += 1
        indexes = [] if index < through else [index]
        wire.say(
            type="chunk_ack", transfer_id=offer["id"], file=0, through=through, indexes=indexes
        )
    kept_at = time.monotonic()
    wire.until("transfer_completed")
    os.close(fd)
    return {"first_at": first_at, "kept_at": kept_at}


def _offered(url: str) -> dict[str, Any] | None:
    """Return what was offered before we came: nobody tells us of that again."""
    parts = urlsplit(url)
    asking = http.client.HTTPConnection(parts.hostname or "", parts.port)
    authorization = {"Authorization": f"Bearer {os.environ['TOKEN']}"}
    asking.request("GET", "/v1/transfers?role=recipient&limit=1", headers=authorization)
    answer = asking.getresponse()
    found = json.loads(answer.read())
    if answer.status != http.client.OK:
        raise RuntimeError(found)
    asking.close()
    return next((each for each in found["items"] if each["state"] == "offered"), None)


def main() -> None:
    """Be one end, and tell how it went."""
    parser = argparse.ArgumentParser(description="One end of a transfer")
    parser.add_argument("role", choices=["send", "receive"])
    parser.add_argument("arguments", nargs="+")
    asked = parser.parse_args()
    told = (send if asked.role == "send" else receive)(*asked.arguments)
    used = resource.getrusage(resource.RUSAGE_SELF)
    told["cpu_seconds"] = used.ru_utime + used.ru_stime
    told["ended_at"] = time.monotonic()
    print(json.dumps(told), flush=True)


if __name__ == "__main__":
    sys.exit(main())
