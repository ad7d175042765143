"""Which bytes are asked for, and under which conditions: RFC 9110 §13 and §14."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import Headers

from sharezync_shared.asgi.content_wanted import (
    PreconditionFailed,
    RangeUnsatisfiable,
    Span,
    Version,
    not_modified,
    span_of,
)

UNKNOWN = Version(None)
VERSION = Version('"abc"', datetime(2026, 11, 21, 18, 31, 58, 999, tzinfo=UTC))
ETAG, MODIFIED = '"abc"', "Sat, 21 Nov 2026 18:31:58 GMT"
EARLIER, LATER = "Sat, 21 Nov 2026 18:31:57 GMT", "Sat, 21 Nov 2026 18:31:59 GMT"


def of(**headers: str) -> Headers:
    return Headers({name.replace("_", "-"): value for name, value in headers.items()})


def span(size: int, **headers: str) -> Span | None:
    return span_of(of(**headers), size, VERSION)


def test_the_version_is_told_as_http_dates_are() -> None:
    assert VERSION.last_modified == MODIFIED


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
        ("bytes=0-0,", 0, 0),
    ],
)
def test_one_range_is_understood(asked: str, first: int, last: int) -> None:
    assert span(100, range=asked) == Span(first, last)


@pytest.mark.parametrize(
    "asked",
    [
        "bytes=100-", "bytes=100-200", "bytes=-0", "bytes=5-4", "bytes=", "bytes=-", "bytes=a-b",
        "bytes=0-1,x", "bytes=,", "bytes=100-101,200-", "bytes=1", "bytes=--1",
        "bytes=0-0-0", "bytes=+1-2",
        "bytes=" + "9" * 20 + "-", "bytes=²-³",
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


@given(st.text(st.characters(max_codepoint=255), max_size=30))
def test_no_range_header_is_more_than_refused(asked: str) -> None:
    try:
        found = span(100, range=f"bytes={asked}")
    except RangeUnsatisfiable:
        return
    assert found is None or 0 <= found.first <= found.last < 100


def test_several_ranges_are_answered_with_the_whole() -> None:
    for asked in ("bytes=0-1,3-4", "bytes=0-1, -5", "bytes=200-,0-1"):
        assert span(100, range=asked) is None


def test_two_range_fields_are_not_understood() -> None:
    twice = Headers(raw=[(b"range", b"bytes=0-0"), (b"range", b"bytes=5-6")])
    with pytest.raises(RangeUnsatisfiable):
        span_of(twice, 100, VERSION)


@pytest.mark.parametrize(
    ("given_etags", "same"),
    [
        (ETAG, True),
        (f"W/{ETAG}", True),
        (f'"x", {ETAG}', True),
        (f'"x,y",W/"z" , {ETAG}', True),
        ("*", True),
        ('"x"', False),
        ("abc", False),
        ("", False),
    ],
)
def test_if_none_match_compares_weakly(given_etags: str, *, same: bool) -> None:
    assert not_modified(of(if_none_match=given_etags), VERSION) is same


@pytest.mark.parametrize("order", [1, -1])
def test_a_list_of_etags_may_come_in_several_lines(order: int) -> None:
    def lines(name: bytes) -> Headers:
        return Headers(raw=[(name, b'"x"'), (name, ETAG.encode())][::order])

    assert not_modified(lines(b"if-none-match"), VERSION)
    assert not not_modified(lines(b"if-match"), VERSION)


@pytest.mark.parametrize(
    ("since", "same"),
    [
        (MODIFIED, True),
        (LATER, True),
        ("Saturday, 21-Nov-26 18:31:58 GMT", True),  # as RFC 850 had it
        ("Sat Nov 21 18:31:58 2026", True),  # as C has it
        (EARLIER, False),
        ("yesterday", False),
        ("", False),
    ],
)
def test_if_modified_since_is_for_those_who_kept_no_etag(since: str, *, same: bool) -> None:
    assert not_modified(of(if_modified_since=since), VERSION) is same
    # §13.1.3: looked at only where there is no If-None-Match.
    assert not not_modified(of(if_modified_since=since, if_none_match='"x"'), VERSION)


@pytest.mark.parametrize(
    "wanted",
    [
        {"if_match": ETAG},
        {"if_match": "*"},
        {"if_match": f'"x",{ETAG}'},
        {"if_unmodified_since": MODIFIED},
        {"if_unmodified_since": LATER},
        {"if_unmodified_since": "tomorrow"},
        {"if_match": ETAG, "if_unmodified_since": EARLIER},
    ],
)
def test_who_wants_this_content_gets_it(wanted: dict[str, str]) -> None:
    assert not not_modified(of(**wanted), VERSION)


@pytest.mark.parametrize(
    "wanted",
    [
        {"if_match": '"x"'},
        {"if_match": f"W/{ETAG}"},
        {"if_match": ""},
        {"if_unmodified_since": EARLIER},
        {"if_match": '"x"', "if_none_match": ETAG},
    ],
)
def test_who_wants_another_is_told_that_there_is_none(wanted: dict[str, str]) -> None:
    with pytest.raises(PreconditionFailed):
        not_modified(of(**wanted), VERSION)


# --- a content that is not known yet -------------------------------------------------------------


def test_what_nobody_knows_yet_is_told_by_no_date() -> None:
    assert UNKNOWN.last_modified is None


def test_an_unknown_content_is_none_that_a_condition_names() -> None:
    assert not not_modified(of(if_none_match=f"{ETAG}, None"), UNKNOWN)
    for asked in (ETAG, f"W/{ETAG}", "None", ""):
        with pytest.raises(PreconditionFailed):
            not_modified(of(if_match=asked), UNKNOWN)


def test_an_unknown_content_is_some_content_nevertheless() -> None:
    assert not not_modified(of(if_match="*"), UNKNOWN)
    assert not_modified(of(if_none_match="*"), UNKNOWN)


@pytest.mark.parametrize("version", [UNKNOWN, Version(ETAG)])
def test_dates_say_nothing_of_a_content_that_has_none(version: Version) -> None:
    # §13.1.3 and §13.1.4 say to ignore them.
    for date in (EARLIER, LATER):
        assert not not_modified(of(if_modified_since=date), version)
        assert not not_modified(of(if_unmodified_since=date), version)


def test_a_range_of_an_unknown_content_is_had_without_conditions_only() -> None:
    assert span_of(of(range="bytes=0-0"), 100, UNKNOWN) == Span(0, 0)
    for condition in (ETAG, MODIFIED, "None", ""):
        assert span_of(of(range="bytes=0-0", if_range=condition), 100, UNKNOWN) is None


def test_a_content_without_a_date_is_known_by_its_etag() -> None:
    version = Version(ETAG)
    assert span_of(of(range="bytes=0-0", if_range=ETAG), 100, version) == Span(0, 0)
    assert span_of(of(range="bytes=0-0", if_range=MODIFIED), 100, version) is None
    assert not_modified(of(if_none_match=ETAG), version)


@given(
    st.text(max_size=30),
    st.sampled_from(
        ["if-match", "if-none-match", "if-modified-since", "if-unmodified-since", "if-range"]
    ),
    st.sampled_from([VERSION, Version(ETAG), UNKNOWN]),
)
def test_no_condition_is_more_than_refused(value: str, name: str, version: Version) -> None:
    raw = Headers(
        raw=[(name.encode(), value.encode("latin-1", "replace")), (b"range", b"bytes=0-0")]
    )
    try:
        assert not_modified(raw, version) in {True, False}
        assert span_of(raw, 100, version) in {None, Span(0, 0)}
    except PreconditionFailed:
        return
