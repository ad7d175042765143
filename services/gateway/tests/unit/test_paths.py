"""One spelling for each path."""

from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sharezync_gateway.errors import BadPath
from sharezync_gateway.proxy.headers import clean_query, normalise


@pytest.mark.parametrize(
    "path",
    ["/", "/v1/channels", "/.well-known/jwks.json", "/a/b;c=d/e,f", "/v1/x/%23%2A",
     "/v1/x/%F0%9F%98%80", "/a/..b/c..", "/a/...", "/a/~(b)'!$&*+,;=:@"],
)  # fmt: skip
def test_what_is_in_order_stays_as_it_is(path: str) -> None:
    assert normalise(path.encode()) == path.encode()


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("/%76%31/%63hannels", "/v1/channels"),
        ("/v1/%7Ex", "/v1/~x"),
        ("/v1/x/%f0%9f%98%80", "/v1/x/%F0%9F%98%80"),
        ("/v1/x%3ay", "/v1/x%3Ay"),
        ("/v1/channels/", "/v1/channels"),
        ("/v1/x%3ay/", "/v1/x%3Ay"),
    ],
)
def test_other_spellings_become_the_one(written: str, meant: str) -> None:
    assert normalise(written.encode()) == meant.encode()


@pytest.mark.parametrize(
    "path",
    [
        "", "v1", "*", "http://x/v1", "//", "//v1", "/v1//x", "/v1//", "/v1/./x", "/v1/../x", "/.",
        "/..", "/v1/..", "/v1/%2e", "/v1/%2E%2e/x", "/v1/.%2e/x", "/a%2fb", "/a%2Fb", "/a%5cb",
        "/a\\b", "/a%00", "/a%0d%0a", "/a%7f", "/a%25", "/a%252fb", "/a%", "/a%2", "/a%zz",
        "/a%u0041", "/a b", "/a\tb", "/a\x00", "/ä", "/a?b", "/a#b", "/%c0%af", "/%e0%80%af",
        "/%ff", "/a<b>",
    ],
)  # fmt: skip
def test_what_can_be_read_in_two_ways_is_refused(path: str) -> None:
    with pytest.raises(BadPath):
        normalise(path.encode())


@given(st.binary(max_size=40).map(lambda tail: b"/" + tail))
def test_what_comes_out_has_one_reading_and_never_changes_again(raw: bytes) -> None:
    try:
        path = normalise(raw)
    except BadPath:
        return
    assert normalise(path) == path
    if raw != b"/":
        raw = raw.removesuffix(b"/")  # means nothing
    decoded = unquote_to_bytes(path)
    assert decoded == unquote_to_bytes(raw)
    assert decoded.count(b"/") == path.count(b"/") == raw.count(b"/")
    assert not {b".", b".."} & set(decoded.split(b"/"))
    assert not any(byte < 0x20 or byte in b"\\%\x7f" for byte in decoded)


@given(st.text(st.sampled_from("%2eE.fF/5cC0aint;?é\\"), max_size=30))
def test_no_spelling_of_internal_gets_anywhere_else(tail: str) -> None:
    try:
        path = normalise(b"/" + tail.encode())
    except BadPath:
        return
    assert b"//" not in path
    assert b"/../" not in unquote_to_bytes(path) + b"/"


def test_queries_are_passed_on_in_ascii() -> None:
    assert clean_query(b"a=%2F&b=c;d&?/") == b"a=%2F&b=c;d&?/"
    assert clean_query("q=é".encode()) == b"q=%C3%A9"


@pytest.mark.parametrize("query", [b"a b", b"a\r\nb", b"\x00", b"a\x7f"])
def test_control_characters_in_queries_are_refused(query: bytes) -> None:
    with pytest.raises(BadPath):
        clean_query(query)
