"""Nothing that a stranger sends is an error of ours: no 500, no traceback, on any operation."""

import logging
import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Final

import pytest

from sharezync_testkit.plain_requests import PlainRequest, plain_requests
from sharezync_testkit.servers import Databases
from tests.test_database_away import KINDS, Scene, scene

pytestmark = pytest.mark.timeout(300)

TEXTS: Final = [
    "\x00",
    "a\x00b",
    "\ud800",
    "\U0010ffff",
    "é" * 5000,
    "%00",
    "٣" * 20,
    "\u202e\u200b",
]
BODIES: Final = [
    b"\xff\xfe",
    b'"\xed\xa0\x80"',
    b"[" * 5000,
    b"{" + b'"a":' * 10,
    b"1" * 5000,
    b"-0e99999",
    b'{"a":1e400,"a":NaN}',
    b"null",
    b"a=%ff&b=%zz&%00=%00",
    b"--b\r\nContent-Disposition: form-data; name=a; filename*=x''%ff%00\r\n\r\n\xff\r\n--b--\r\n",
    b"--b\r\nContent-Disposition: \x00\r\n\r\n--b",
]
TYPES: Final = [
    "application/json",
    "application/json; charset=utf-99",
    "application/x-www-form-urlencoded; charset=nonsense",
    "multipart/form-data; boundary=b",
    "multipart/form-data",
    "multipart/form-data; boundary=" + "b" * 300,
    "\xff/\xff",
]
HEADERS: Final = [
    {"range": "bytes=-99999999999999999999999999,--5"},
    {"range": "bytes=\xb2-\xb3"},
    {"if-match": '"\xff'},
    {"if-modified-since": "Thu, 99 Foo 99999 99:99:99 GMT"},
    {"cookie": 'a="\\777\xff; =; ;;'},
    {"upload-length": "9" * 40},
    {"upload-offset": "\xb2"},
    {"upload-metadata": "filename \xff,,x x x"},
    {"upload-checksum": "sha1 \xff"},
    {"upload-concat": "final;/v1/uploads/%ff"},
    {"content-length": "\xb2"},
    {"x-request-id": "\xff" * 20},
    {"idempotency-key": "\x7f\xff"},
    {"authorization": "Bearer \xff.\xfe.\xfd"},
]
QUERIES: Final = [
    "a=%ff",
    "%",
    "limit=99999999999999999999",
    "limit=\xb2",
    "q=%00",
    "after=%00%ff",
    "cursor=%F0",
    "&&==&",
]

PART: Final = 1 if os.environ.get("STRANGERS") == "all" else 10
TEXTS_OF: Final = 1 if PART == 1 else 3
"""With STRANGERS=all every operation gets everything, in some minutes."""


def hostile(plain: PlainRequest) -> Iterator[tuple[str, dict[str, str], bytes]]:
    """Yield path with query, headers and body of variants of a request."""
    for query in QUERIES:
        yield f"{plain.path}?{query}", plain.headers, plain.content
    for header in HEADERS:
        yield plain.path, plain.headers | header, plain.content
    if plain.content:
        for number, body in enumerate(BODIES):
            for kind in (TYPES[number % len(TYPES)], plain.headers.get("content-type", "")):
                yield plain.path, plain.headers | {"content-type": kind}, body


async def send(
    there: Scene, plain: PlainRequest, path: str, headers: dict[str, str], body: bytes
) -> None:
    client = there.client(plain.name)
    raw = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    answer = await client.request(plain.method, path, headers=raw, content=body)
    if answer.status_code != 503:  # there are no other services here
        assert answer.status_code < 500, (plain.name, path, headers, body[:100], answer.text)


@pytest.mark.parametrize("name", KINDS)
async def test_no_operation_fails_at_what_strangers_send(
    name: str, databases: Databases, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Each operation gets a part of all, which all of them together make whole."""
    async with scene(name, databases, tmp_path) as there:
        for number, text in enumerate(TEXTS):
            for plain in islice(plain_requests(there.app, text), number % TEXTS_OF, None, TEXTS_OF):
                await send(there, plain, plain.path, plain.headers, plain.content)
        for number, plain in enumerate(plain_requests(there.app)):
            for path, headers, body in islice(hostile(plain), number % PART, None, PART):
                await send(there, plain, path, headers, body)
        assert there.unhandled == 0
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]
