"""A multipart/form-data body with one file in it, taken apart as it comes (RFC 7578).

Starlette's `UploadFile` would spool the file into a temporary one first, and only then begin.
"""

import re
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Final
from urllib.parse import unquote_to_bytes

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from sharezync_storage.errors import BodyBroken, FormInvalid, NotAForm

FIELD: Final = "file"

_MAX_PARTS: Final = 16
_MAX_OTHER_BYTES: Final = 64 * 1024
"""What all other fields may hold together; they are read, and dropped."""
_QUOTED: Final = re.compile(rb'"(?:\\.|[^"\\])*"')
_FILENAME_EXTENDED: Final = re.compile(
    rb";\s*filename\*\s*=\s*(utf-8|iso-8859-1)'[A-Za-z0-9-]*'([^\s;]+)", re.IGNORECASE
)
_CALLBACKS: Final = (
    "part_begin", "header_field", "header_value", "header_end", "headers_finished", "part_data",
    "end",
)  # fmt: skip


class FileForm:
    """A form on its way in. First `open`, then `pieces`, to the end.

    After `open`: `name` and `mime` are what the client says, and `expected_bytes` guesses from the
    length of the body how long the file will be (0: who knows).
    """

    def __init__(
        self, content_type: str, body: AsyncIterator[bytes], content_length: int | None
    ) -> None:
        """Raise NotAForm for another content type, and FormInvalid for one without a boundary."""
        kind, options = parse_options_header(content_type)
        if kind != b"multipart/form-data":
            raise NotAForm
        self._boundary = options.get(b"boundary", b"")
        if not self._boundary:
            raise FormInvalid("The content type has no boundary")
        self._body = body
        self._content_length = content_length
        callbacks = {f"on_{name}": getattr(self, f"_on_{name}") for name in _CALLBACKS}
        try:
            self._parser = MultipartParser(self._boundary, callbacks)  # type: ignore[arg-type]  # ours
        except FormParserError as error:
            raise FormInvalid("The boundary is too long") from error
        self._seen_bytes = 0
        self._parts = 0
        self._other_bytes = 0
        self._header = bytearray(), bytearray()
        self._headers: dict[bytes, bytes] = {}
        self._in_file = self._found = self._ended = False
        self._data: list[bytes] = []
        self.name = ""
        self.mime: str | None = None
        self.expected_bytes = 0

    async def open(self) -> None:
        """Read up to the file. Raises FormInvalid where there is none, and BodyBroken."""
        while not self._found:
            if not await self._feed():
                raise FormInvalid if self._ended else BodyBroken
        if self._ended:
            self.expected_bytes = sum(map(len, self._data))
        elif self._content_length is not None:
            # What follows the file is at least the last boundary, which most clients end with CRLF.
            tail = len(self._boundary) + 8
            left = self._content_length - self._seen_bytes - tail
            self.expected_bytes = max(0, left + sum(map(len, self._data)))

    async def pieces(self) -> AsyncGenerator[bytes]:
        """Yield the file's bytes, and end only when the whole form has come, well formed.

        Raises BodyBroken and FormInvalid, at any time: what came before is then worth nothing.
        """
        while True:
            ready, self._data = self._data, []
            for piece in ready:
                yield piece
            if not await self._feed():
                break
        if not self._ended:
            raise BodyBroken("The form is incomplete")
        for piece in self._data:
            yield piece

    async def _feed(self) -> bool:
        piece = await anext(self._body, None)
        if piece is None:
            return False
        try:
            self._parser.write(piece)
        except FormParserError as error:
            raise FormInvalid("The body isn't valid multipart/form-data") from error
        self._seen_bytes += len(piece)
        return True

    # --- callbacks of the parser -------------------------------------------------------------

    def _on_part_begin(self) -> None:
        self._parts += 1
        if self._parts > _MAX_PARTS:
            raise FormInvalid(f"A form may have at most {_MAX_PARTS} fields")
        self._headers = {}
        self._in_file = False

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._header[0].extend(data[start:end])

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._header[1].extend(data[start:end])

    def _on_header_end(self) -> None:
        name, value = self._header
        self._headers[bytes(name).lower()] = bytes(value)
        self._header = bytearray(), bytearray()

    def _on_headers_finished(self) -> None:
        disposition = self._headers.get(b"content-disposition", b"")
        _, options = parse_options_header(disposition)
        if options.get(b"name") != FIELD.encode():
            return
        if self._found:
            raise FormInvalid("Only one file is allowed")
        name = _extended_name(disposition)
        if name is None and b"filename" in options:
            name = options[b"filename"].decode(errors="replace")
        if name is None:
            raise FormInvalid(f"The field `{FIELD}` must be a file")
        self._found = self._in_file = True
        self.name = name
        self.mime = self._headers.get(b"content-type", b"").decode("latin-1") or None

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        if self._in_file:
            self._data.append(data[start:end])
            return
        self._other_bytes += end - start
        if self._other_bytes > _MAX_OTHER_BYTES:
            raise FormInvalid(f"Other fields may have at most {_MAX_OTHER_BYTES} bytes in total")

    def _on_end(self) -> None:
        self._ended = True


def _extended_name(disposition: bytes) -> str | None:
    """Return what `filename*` says (RFC 8187), which counts before `filename`; or None."""
    given = _FILENAME_EXTENDED.search(_QUOTED.sub(b"", disposition))
    if given is None:
        return None
    return unquote_to_bytes(given[2]).decode(given[1].decode("ascii"), errors="replace")
