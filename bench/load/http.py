"""HTTP/1.1 in a blocking socket, kept alive: sendfile(2) out, one buffer in.

As cheap as a generator can be, for bodies where any client library would be what is measured. It
does what the peers' generator does, so that figures can stand side by side.
"""

import os
import socket
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

_BUFFER_BYTES = 2**20
_SECONDS = 120


@dataclass(frozen=True)
class Source:
    """A part of an open file, as (a part of) a body."""

    fd: int
    offset: int
    size: int


@dataclass(frozen=True)
class Answer:
    """An answer. Its body was dropped where one said so, and counted."""

    status: int
    headers: dict[str, str]
    body: bytes
    body_bytes: int


class LeanHttp:
    """One connection. Not for several threads at a time."""

    def __init__(self, url: str, token: str) -> None:
        parts = urlsplit(url)
        self._address = (parts.hostname or "", parts.port or 80)
        self._always = f"Host: {parts.netloc}\r\nAuthorization: Bearer {token}\r\n"
        self._socket: socket.socket | None = None
        self._view = memoryview(bytearray(_BUFFER_BYTES))

    def ask(
        self,
        method: str,
        path: str,
        headers: Mapping[str, object] | None = None,
        *,
        before: bytes = b"",
        source: Source | None = None,
        behind: bytes = b"",
        drop: bool = False,
    ) -> Answer:
        """Send a request, whose body is `before`, `source` and `behind`; return the answer.

        Raises RuntimeError for a refusal. With `drop` nobody looks at the body.
        """
        sock = self._connected()
        length = len(before) + (source.size if source else 0) + len(behind)
        head = f"{method} {path} HTTP/1.1\r\n{self._always}"
        head += "".join(f"{name}: {value}\r\n" for name, value in (headers or {}).items())
        if method not in {"GET", "HEAD", "DELETE"}:
            head += f"Content-Length: {length}\r\n"
        sock.sendall(head.encode() + b"\r\n" + before)
        if source is not None:
            offset, end = source.offset, source.offset + source.size
            while offset < end:
                offset += os.sendfile(sock.fileno(), source.fd, offset, end - offset)
        if behind:
            sock.sendall(behind)
        answer = self._answer(sock, drop=drop, bodyless=method == "HEAD")
        if answer.status >= 300:
            raise RuntimeError(f"{method} {path}: {answer.status} {answer.body[:300]!r}")
        return answer

    def close(self) -> None:
        """Hang up."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _connected(self) -> socket.socket:
        if self._socket is None:
            self._socket = socket.create_connection(self._address, _SECONDS)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._socket.settimeout(None)  # sendfile needs a blocking socket: the kernel's clock
            for option in (socket.SO_SNDTIMEO, socket.SO_RCVTIMEO):
                self._socket.setsockopt(socket.SOL_SOCKET, option, struct.pack("ll", _SECONDS, 0))
        return self._socket

    def _answer(self, sock: socket.socket, *, drop: bool, bodyless: bool) -> Answer:
        got = b""
        while (end := got.find(b"\r\n\r\n")) < 0:
            got += self._view[: self._received(sock, _BUFFER_BYTES)]
        lines = got[:end].decode("latin-1").split("\r\n")
        headers = {
            name.lower(): value.strip() for name, _, value in (s.partition(":") for s in lines[1:])
        }
        rest = got[end + 4 :]
        left = 0 if bodyless else int(headers.get("content-length", 0)) - len(rest)
        pieces, count = [rest], len(rest)
        while left > 0:
            size = self._received(sock, min(left, _BUFFER_BYTES))
            left -= size
            count += size
            if not drop:
                pieces.append(bytes(self._view[:size]))
        if headers.get("connection", "").lower() == "close":
            self.close()
        return Answer(int(lines[0].split()[1]), headers, b"".join(pieces), count)

    def _received(self, sock: socket.socket, most: int) -> int:
        size = sock.recv_into(self._view, most)
        if not size:
            raise ConnectionError("hung up in the middle of an answer")
        return size
