"""Header fields of tus: what no conversation with the service shows."""

from datetime import UTC, datetime
from typing import Any

import pytest
from starlette.datastructures import Headers

from sharezync_shared.ids import uuid7
from sharezync_shared.problems import Malformed
from sharezync_storage.api import tus_headers
from sharezync_storage.models import Upload


def upload(**known: Any) -> Upload:
    now = datetime(2026, 11, 22, 1, 2, 3, tzinfo=UTC)
    return Upload(id=uuid7(), created_at=now, expires_at=now, **{"stored_bytes": 0, **known})


@pytest.mark.parametrize(
    ("state", "offset"), [("created", None), ("verifying", None), ("finished", "7")]
)
def test_a_final_upload_has_no_offset_until_the_concatenation_is_finished(
    state: str, offset: str | None
) -> None:
    final = upload(state=state, size_bytes=7, stored_bytes=7, source_ids=[uuid7()])
    said = tus_headers.standing_of(final)
    assert said.get("Upload-Offset") == offset
    assert said["Upload-Length"] == "7"


def test_times_are_told_as_http_tells_them() -> None:
    said = tus_headers.expiry_of(upload(state="created"))
    assert said == {"Upload-Expires": "Sun, 22 Nov 2026 01:02:03 GMT"}


@pytest.mark.parametrize(
    "read",
    [
        lambda headers: tus_headers.number_of(headers, "x"),
        lambda headers: tus_headers.one_of(headers, "x"),
    ],
)
def test_a_field_that_is_there_twice_is_refused(read: object) -> None:
    twice = Headers(raw=[(b"x", b"1"), (b"x", b"1")])
    with pytest.raises(Malformed):
        read(twice)  # type: ignore[operator]


def test_names_may_be_any_text_and_are_never_undecodable() -> None:
    headers = Headers({"upload-metadata": "filename /w==,filetype aW1hZ2UvcG5n"})
    said = tus_headers.creation_of(headers)
    assert (said.name, said.mime) == ("\ufffd", "image/png")


@pytest.mark.parametrize(
    ("headers", "told"),
    [
        ({}, False),
        ({"content-length": "0"}, False),
        ({"content-length": "10"}, True),
        ({"transfer-encoding": "chunked"}, True),
    ],
)
def test_whether_a_body_comes_is_read_from_the_head(headers: dict[str, str], told: bool) -> None:
    assert tus_headers.has_body(Headers(headers)) is told
