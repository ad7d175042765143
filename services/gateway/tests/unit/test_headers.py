"""What clients and services may say."""

import pytest

from sharezync_gateway.errors import BadHeaders
from sharezync_gateway.proxy.headers import clean_response, read_head

HOST = (b"host", b"gateway.test")


def test_a_head_is_read_once_and_tells_all() -> None:
    head = read_head([
        HOST, (b"authorization", b"Bearer x"), (b"content-length", b"12"),
        (b"expect", b"100-Continue"), (b"x-forwarded-for", b"10.0.0.1, 10.0.0.2"),
        (b"x-forwarded-for", b"10.0.0.3"), (b"x-forwarded-proto", b"HTTPS"), (b"accept", b"*/*"),
    ])  # fmt: skip
    assert head.host == b"gateway.test"
    assert head.authorization == b"Bearer x"
    assert head.body_bytes == 12
    assert head.expects_continue
    assert head.forwarded_for == [b"10.0.0.1", b"10.0.0.2", b"10.0.0.3"]
    assert head.forwarded_proto == b"https"
    assert head.kept == [(b"authorization", b"Bearer x"), (b"accept", b"*/*")]


def test_bodies_are_known_unknown_or_none() -> None:
    assert read_head([HOST]).body_bytes == 0
    assert read_head([HOST, (b"content-length", b"0")]).body_bytes == 0
    assert read_head([HOST, (b"transfer-encoding", b"Chunked")]).body_bytes is None


@pytest.mark.parametrize(
    "fields",
    [
        [],
        [HOST, HOST],
        [(b"host", b"")],
        [(b"host", b"a b")],
        [(b"host", b"a/b")],
        [(b"host", b"user@a")],
        [(b"host", b"a:port")],
        [HOST, (b"content-length", b"1"), (b"content-length", b"1")],
        [HOST, (b"content-length", b"-1")],
        [HOST, (b"content-length", b"1e3")],
        [HOST, (b"content-length", "١".encode())],
        [HOST, (b"content-length", b"9" * 16)],
        [HOST, (b"content-length", b"")],
        [HOST, (b"content-length", b"1"), (b"transfer-encoding", b"chunked")],
        [HOST, (b"transfer-encoding", b"gzip, chunked")],
        [HOST, (b"transfer-encoding", b"chunked"), (b"transfer-encoding", b"chunked")],
        [HOST, (b"authorization", b"Bearer a"), (b"authorization", b"Bearer b")],
    ],
)
def test_contradictions_are_refused(fields: list[tuple[bytes, bytes]]) -> None:
    with pytest.raises(BadHeaders):
        read_head(fields)


@pytest.mark.parametrize("host", [b"a.test", b"a.test:8000", b"127.0.0.1:1", b"[::1]:8000", b"a_b"])
def test_hosts_of_all_kinds_are_read(host: bytes) -> None:
    assert read_head([(b"host", host)]).host == host


def test_old_clients_need_no_host() -> None:
    assert read_head([], "1.0").host == b""


@pytest.mark.parametrize(
    "name",
    [b"x-user-id", b"x-auth-user", b"x-internal-x", b"x-forwarded-user", b"forwarded", b"x-real-ip",
     b"x-request-id", b"x_user_id", b"a_b", b"te", b"trailer", b"upgrade", b"keep-alive",
     b"proxy-authorization", b"proxy-connection", b"connection", b"expect"],
)  # fmt: skip
def test_what_is_ours_to_say_is_dropped(name: bytes) -> None:
    assert read_head([HOST, (name, b"1")]).kept == []


def test_what_connection_names_is_dropped_wherever_it_stands() -> None:
    fields = [
        HOST,
        (b"x-a", b"1"),
        (b"connection", b"close, X-A ,x-b"),
        (b"x-b", b"2"),
        (b"x-c", b"3"),
    ]
    assert read_head(fields).kept == [(b"x-c", b"3")]


def test_naming_framing_in_connection_does_not_unframe() -> None:
    fields = [HOST, (b"connection", b"content-length, host"), (b"content-length", b"3")]
    head = read_head(fields)
    assert (head.body_bytes, head.host) == (3, b"gateway.test")


def test_answers_lose_what_is_not_for_the_client() -> None:
    fields = [
        (b"Connection", b"X-Hop"), (b"X-Hop", b"1"), (b"Keep-Alive", b"x"), (b"Server", b"x"),
        (b"Date", b"x"), (b"X-Request-Id", b"x"), (b"X-Internal-A", b"1"), (b"Upgrade", b"h2c"),
        (b"Access-Control-Allow-Origin", b"*"), (b"Transfer-Encoding", b"chunked"),
        (b"ETag", b"1"), (b"Set-Cookie", b"a"), (b"Set-Cookie", b"b"), (b"Content-Length", b"3"),
    ]  # fmt: skip
    assert clean_response(fields, 200) == [
        (b"etag", b"1"), (b"set-cookie", b"a"), (b"set-cookie", b"b"), (b"content-length", b"3"),
    ]  # fmt: skip


@pytest.mark.parametrize("status", [204, 304])
def test_answers_without_a_body_announce_none(status: int) -> None:
    assert clean_response([(b"content-length", b"3"), (b"etag", b"1")], status) == [(b"etag", b"1")]
