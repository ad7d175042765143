"""How files are served: media types, dispositions, signatures, ranges."""

from urllib.parse import parse_qs, unquote, urlsplit
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sharezync_shared.filenames import clean_name
from sharezync_shared.ids import uuid7
from sharezync_storage.api.ranges import Span, not_modified, span_of
from sharezync_storage.media_types import clean_media_type
from sharezync_storage.problems import RangeUnsatisfiable, SignatureExpired, SignatureInvalid
from sharezync_storage.serving import content_disposition, content_type
from sharezync_storage.signatures import Signer

UNKNOWN = "application/octet-stream"


@pytest.mark.parametrize(
    ("said", "believed"),
    [
        ("image/png", "image/png"),
        ("Image/PNG; charset=x", "image/png"),
        (" text/plain ", "text/plain"),
        ("application/vnd.openxmlformats-officedocument.wordprocessingml.document",) * 2,
        ("image/svg+xml", "image/svg+xml"),
        (None, UNKNOWN),
        ("", UNKNOWN),
        ("nonsense", UNKNOWN),
        ("a/b/c", UNKNOWN),
        ("text/html\r\nX: y", UNKNOWN),
        ("téxt/plain", UNKNOWN),
        ("x/" + "y" * 100, UNKNOWN),
    ],
)
def test_media_types_are_taken_without_parameters_or_not_at_all(
    said: str | None, believed: str
) -> None:
    assert clean_media_type(said) == believed


@pytest.mark.parametrize("mime", ["image/png", "video/mp4", "audio/ogg", "text/plain"])
def test_harmless_media_are_shown_in_place(mime: str) -> None:
    assert content_disposition("a", mime).startswith("inline;")


@pytest.mark.parametrize(
    "mime",
    ["text/html", "image/svg+xml", "application/pdf", "text/xml", "application/xhtml+xml", UNKNOWN],
)
def test_all_others_are_attachments(mime: str) -> None:
    assert content_disposition("a", mime).startswith("attachment;")


def test_text_has_a_charset_so_that_nobody_guesses() -> None:
    assert content_type("text/plain") == "text/plain; charset=utf-8"
    assert content_type("image/png") == "image/png"


def test_plain_names_go_once_and_others_twice() -> None:
    assert content_disposition("a b.txt", UNKNOWN) == 'attachment; filename="a b.txt"'
    assert content_disposition("naïve €.txt", UNKNOWN) == (
        "attachment; filename=\"na_ve _.txt\"; filename*=UTF-8''na%C3%AFve%20%E2%82%AC.txt"
    )


@given(st.text())
def test_no_name_breaks_out_of_the_header(text: str) -> None:
    name = clean_name(text)
    value = content_disposition(name, UNKNOWN)
    assert value.isascii()
    assert value.isprintable()
    assert value.count('"') == 2
    if "filename*" in value:
        assert unquote(value.rpartition("UTF-8''")[2]) == name


# --- signatures ----------------------------------------------------------------------------------


def signed(signer: Signer, file_id: UUID, expires: int) -> str:
    return parse_qs(urlsplit(signer.path(file_id, expires)).query)["signature"][0]


def test_a_signature_holds_until_it_runs_out() -> None:
    signer, file_id = Signer("secret"), uuid7()
    signature = signed(signer, file_id, 1000)
    signer.check(file_id, 1000, signature, now=999.9)
    with pytest.raises(SignatureExpired):
        signer.check(file_id, 1000, signature, now=1000)


def test_a_signature_is_for_one_file_one_time_and_one_secret() -> None:
    signer, file_id = Signer("secret"), uuid7()
    signature = signed(signer, file_id, 1000)
    for other, other_id, expires, text in [
        (signer, uuid7(), 1000, signature),
        (signer, file_id, 1001, signature),
        (Signer("another"), file_id, 1000, signature),
        (signer, file_id, 1000, signature[:-1]),
        (signer, file_id, 1000, signature + "A"),
        (signer, file_id, 1000, ""),
        (signer, file_id, 1000, "ü\ud800"),
    ]:
        with pytest.raises(SignatureInvalid):
            other.check(other_id, expires, text, now=0)


# --- ranges --------------------------------------------------------------------------------------

ETAG, MODIFIED = '"abc"', "Sat, 21 Nov 2026 18:31:58 GMT"


def span(size: int, **headers: str) -> Span | None:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return span_of(named, size, etag=ETAG, last_modified=MODIFIED)


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [
        ("bytes=0-0", 0, 0),
        ("bytes=0-99", 0, 99),
        ("bytes=10-", 10, 99),
        ("bytes=-1", 99, 99),
        ("bytes=-1000", 0, 99),
        ("bytes=50-1000", 50, 99),
        ("BYTES = 0-0".replace(" ", ""), 0, 0),
        ("bytes= 5-6 ", 5, 6),
    ],
)
def test_one_range_is_understood(asked: str, first: int, last: int) -> None:
    assert span(100, range=asked) == Span(first, last)


@pytest.mark.parametrize(
    "asked",
    [
        "bytes=100-", "bytes=100-200", "bytes=-0", "bytes=5-4", "bytes=", "bytes=-", "bytes=a-b",
        "bytes=0-1,3-4", "bytes=0-0,", "bytes=1", "bytes=--1", "bytes=0-0-0", "bytes=+1-2",
        "bytes=" + "9" * 20 + "-", "bytes=٣-٤",
    ],
)  # fmt: skip
def test_what_can_not_be_satisfied_is_refused_with_the_size(asked: str) -> None:
    with pytest.raises(RangeUnsatisfiable) as refusal:
        span(100, range=asked)
    assert refusal.value.headers["Content-Range"] == "bytes */100"


def test_an_empty_file_has_no_ranges() -> None:
    for asked in ("bytes=0-", "bytes=-5", "bytes=0-0"):
        with pytest.raises(RangeUnsatisfiable):
            span(0, range=asked)


def test_other_units_and_no_range_mean_the_whole() -> None:
    assert span(100) is None
    assert span(100, range="items=0-5") is None


def test_a_range_of_another_version_means_the_whole() -> None:
    assert span(100, range="bytes=0-0", if_range=ETAG) == Span(0, 0)
    assert span(100, range="bytes=0-0", if_range=MODIFIED) == Span(0, 0)
    assert span(100, range="bytes=0-0", if_range='"other"') is None
    assert span(100, range="bytes=0-0", if_range=f"W/{ETAG}") is None
    assert span(100, range="bytes=0-0", if_range="Sat, 21 Nov 2026 18:31:59 GMT") is None


@given(st.text(max_size=30))
def test_no_range_header_is_more_than_refused(asked: str) -> None:
    try:
        found = span(100, range=f"bytes={asked}")
    except RangeUnsatisfiable:
        return
    assert found is not None
    assert 0 <= found.first <= found.last < 100


@pytest.mark.parametrize(
    ("given_etags", "same"),
    [
        (ETAG, True),
        (f"W/{ETAG}", True),
        (f'"x", {ETAG}', True),
        ("*", True),
        ('"x"', False),
        ("abc", False),
        ("", False),
    ],
)
def test_if_none_match_compares_weakly(given_etags: str, *, same: bool) -> None:
    assert not_modified({"if-none-match": given_etags}, ETAG) is same
