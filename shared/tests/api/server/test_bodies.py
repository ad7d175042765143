"""Bodies without a socket: the same content as h11 reads, however it is cut, and bounded steps."""

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sharezync_shared.problems import Malformed, Problem
from sharezync_shared.server.bodies import ChunkedBody, LengthBody

HEAD = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"

chunks = st.lists(st.binary(min_size=1, max_size=300), max_size=6)
extensions = st.sampled_from([b"", b";a", b";a=b", b';a="b c"'])
trailers = st.lists(st.sampled_from([b"A: b\r\n", b"Content-Length: 5\r\n", b"a:\r\n"]), max_size=3)
cuts = st.lists(st.integers(1, 40), min_size=1, max_size=20)


def read(sent: bytes, sizes: list[int], *, at_most: int = 10**6) -> tuple[bytes, bytes, bool]:
    """Return content, what is behind the body, and whether it is whole."""
    body, kept, behind = ChunkedBody(), list[bytes](), b""
    at, turn = 0, 0
    while at < len(sent):
        packet = behind + sent[at : at + sizes[turn % len(sizes)]]
        at += sizes[turn % len(sizes)]
        turn += 1
        behind = bytes(body.feed(memoryview(packet), kept.append, at_most=at_most))
    while behind and not body.is_complete:
        behind = bytes(body.feed(memoryview(behind), kept.append, at_most=at_most))
    return b"".join(kept), behind, body.is_complete


def read_by_h11(sent: bytes) -> tuple[bytes, bytes, bool] | None:
    """Do the same with h11; None where it refuses."""
    server = h11.Connection(h11.SERVER)
    server.receive_data(HEAD + sent)
    content = b""
    while True:
        try:
            event = server.next_event()
        except h11.RemoteProtocolError:
            return None
        if isinstance(event, h11.Data):
            content += event.data
        elif isinstance(event, h11.EndOfMessage):
            return content, server.trailing_data[0], True
        elif event is h11.NEED_DATA:
            return content, b"", False


@given(chunks, extensions, trailers, cuts, st.booleans())
def test_chunks_are_read_as_h11_reads_them(
    parts: list[bytes], extension: bytes, trailer: list[bytes], sizes: list[int], is_tight: bool
) -> None:
    sent = b"".join(b"%x%b\r\n%b\r\n" % (len(part), extension, part) for part in parts)
    sent += b"0%b\r\n%b\r\n" % (extension, b"".join(trailer))
    got = read(sent + b"GET /next", sizes, at_most=1 if is_tight else 10**6)
    assert got[0] == b"".join(parts)
    assert got[2]
    assert read_by_h11(sent) == (got[0], b"", True)


@given(st.text(alphabet="0123afAFgx;=+-_ \t\r\nA:", max_size=40).map(str.encode), cuts)
def test_what_h11_refuses_is_refused(sent: bytes, sizes: list[int]) -> None:
    """We are stricter, never laxer: what we read, h11 reads to the same content."""
    try:
        content, _, is_complete = read(sent, sizes)
    except Problem:
        return
    other = read_by_h11(sent)
    if is_complete:
        assert other is not None
        assert other[0] == content


@pytest.mark.parametrize("sizes", [[1], [4, 2], [100]])
def test_a_chunk_that_is_longer_than_its_size_says_is_refused(sizes: list[int]) -> None:
    with pytest.raises(Malformed, match="longer"):
        read(b"3\r\nabcd\r\n0\r\n\r\n", sizes)


def test_no_more_is_done_at_a_time_than_may_be() -> None:
    body, kept = ChunkedBody(), list[bytes]()
    sent = memoryview(b"1\r\nx\r\n" * 100)
    rest = body.feed(sent, kept.append, at_most=30)
    assert len(kept) == 15
    assert len(rest) == 85 * 6
    assert bytes(body.feed(rest, kept.append, at_most=1000)) == b""
    assert len(kept) == 100


@given(sent=chunks, cut=st.integers(0, 2000), unread=st.integers(0, 400))
def test_no_more_is_missing_of_a_body_than_will_come(
    sent: list[bytes], cut: int, unread: int
) -> None:
    stream = b"".join(b"%x\r\n%s\r\n" % (len(each), each) for each in sent) + b"0\r\n\r\n"
    body, kept = ChunkedBody(), list[bytes]()
    behind = stream[:cut]
    while behind and not body.is_complete:
        behind = bytes(body.feed(memoryview(behind), kept.append, at_most=100))
    rest = len(stream) - min(cut, len(stream))
    assert (body.missing_bytes(0) > 0) == (rest > 0)
    assert body.missing_bytes(unread) <= max(0, rest - unread)


def test_what_is_missing_of_a_chunk_is_known() -> None:
    body, kept = ChunkedBody(), list[bytes]()
    body.feed(memoryview(b"64\r\n" + bytes(40)), kept.append, at_most=10)
    assert 60 < body.missing_bytes(0) <= 60 + len("\r\n0\r\n\r\n")
    assert body.missing_bytes(30) == body.missing_bytes(0) - 30


def test_a_body_by_length_ends_where_it_ends() -> None:
    body, kept = LengthBody(5), list[bytes]()
    assert bytes(body.feed(memoryview(b"abc"), kept.append, at_most=1)) == b""
    assert (body.wanted_bytes, body.is_complete) == (2, False)
    assert bytes(body.feed(memoryview(b"defg"), kept.append, at_most=1)) == b"fg"
    assert (b"".join(kept), body.is_complete) == (b"abcde", True)


@pytest.mark.parametrize("size", [5, 100])
def test_chunks_of_some_bytes_never_outweigh_their_content(size: int) -> None:
    body, kept = ChunkedBody(), list[bytes]()
    chunk = b"%x\r\n%b\r\n" % (size, bytes(size))
    for _ in range(200_000 // size):
        assert bytes(body.feed(memoryview(chunk), kept.append, at_most=10)) == b""
