"""The headers a content is served under."""

from datetime import UTC, datetime
from urllib.parse import unquote

from hypothesis import given
from hypothesis import strategies as st

from sharezync_shared.asgi.content_wanted import (
    Span,
    Version,
    content_disposition,
    content_headers,
    content_type,
    validators,
)
from sharezync_shared.names.filenames import clean_name

MODIFIED = "Sat, 21 Nov 2026 18:31:58 GMT"
VERSION = Version('"abc"', datetime(2026, 11, 21, 18, 31, 58, tzinfo=UTC))


def test_no_content_can_do_harm_under_its_headers() -> None:
    assert content_headers(name="a", mime="text/html", size_bytes=100, version=VERSION) == {
        "Content-Type": "text/html",
        "Content-Length": "100",
        "Content-Disposition": 'attachment; filename="a"',
        "Content-Security-Policy": "default-src 'none'; sandbox",
        "X-Content-Type-Options": "nosniff",
        "Accept-Ranges": "bytes",
        "ETag": '"abc"',
        "Last-Modified": MODIFIED,
        "Cache-Control": "private, no-cache",
    }


def test_a_span_is_told_with_its_place_and_its_own_length() -> None:
    headers = content_headers(
        name="a", mime="text/html", size_bytes=100, version=VERSION, span=Span(10, 19)
    )
    assert headers["Content-Range"] == "bytes 10-19/100"
    assert headers["Content-Length"] == "10"


def test_a_client_is_told_of_a_version_what_is_known() -> None:
    always = {"Cache-Control": "private, no-cache"}
    assert validators(Version(None)) == always
    assert validators(Version('"abc"')) == {"ETag": '"abc"', **always}
    assert validators(VERSION) == {"ETag": '"abc"', "Last-Modified": MODIFIED, **always}


def test_what_is_harmless_may_be_shown_in_place() -> None:
    assert content_disposition("a", in_place=True) == 'inline; filename="a"'


def test_text_has_a_charset_so_that_nobody_guesses() -> None:
    assert content_type("text/plain") == "text/plain; charset=utf-8"
    assert content_type("image/png") == "image/png"


def test_what_is_no_media_type_is_not_told_on() -> None:
    for said in ("", "nonsense", "text/html\r\nX: y", "a/b/c"):
        assert content_type(said) == "application/octet-stream"
    assert content_type("Text/HTML; charset=utf-7") == "text/html"


def test_plain_names_go_once_and_others_twice() -> None:
    assert content_disposition("a b.txt", in_place=False) == 'attachment; filename="a b.txt"'
    assert content_disposition("naïve €.txt", in_place=False) == (
        "attachment; filename=\"na_ve _.txt\"; filename*=UTF-8''na%C3%AFve%20%E2%82%AC.txt"
    )


@given(st.text())
def test_no_name_breaks_out_of_the_header(text: str) -> None:
    name = clean_name(text)
    value = content_disposition(name, in_place=False)
    assert value.isascii()
    assert value.isprintable()
    assert value.count('"') == 2
    if "filename*" in value:
        assert unquote(value.rpartition("UTF-8''")[2]) == name
