"""What a socket's opening asks for."""

from typing import Any

import pytest
from starlette.types import Scope

from sharezync_gateway.realtime.handshake import Handshake, read_handshake
from sharezync_shared.problems import Forbidden, NotFound

CHANNEL = "01936f0c-2b7e-7d33-8d7a-0c8e3a7c1f10"


def read(
    path: str = "/ws/laptop",
    *,
    headers: list[tuple[bytes, bytes]] | None = None,
    subprotocols: list[str] | None = None,
    query: bytes = b"",
    **options: Any,
) -> Handshake:
    scope: Scope = {
        "type": "websocket",
        "path": path,
        "headers": headers or [],
        "subprotocols": subprotocols or [],
        "query_string": query,
    }
    return read_handshake(scope, **{"origins": (), "allow_query_token": False, **options})


@pytest.mark.parametrize("client_id", ["a", "laptop-7f3a", "A.b_c~d", "x" * 64, "channels"])
def test_a_device_is_named_by_the_path(client_id: str) -> None:
    assert read(f"/ws/{client_id}").client_id == client_id


def test_a_channel_is_named_by_the_path() -> None:
    asked = read(f"/ws/channels/{CHANNEL}")
    assert (asked.client_id, asked.channel) == (None, f"channel:{CHANNEL}")


@pytest.mark.parametrize(
    "path", ["/ws/", "/ws", "/", "/ws/a/", "/ws/a b", "/ws/é", "/ws/" + "x" * 65,
             "/ws/channels/", f"/ws/channels/{CHANNEL.upper()}", f"/ws/channels/{CHANNEL}x"]
)  # fmt: skip
def test_other_paths_name_nothing(path: str) -> None:
    with pytest.raises(NotFound):
        read(path)


def test_the_header_counts_before_the_subprotocol_and_that_before_the_query() -> None:
    everywhere: dict[str, Any] = {
        "subprotocols": ["sharezync.v1", "bearer.from-subprotocol"],
        "query": b"token=from-query",
        "allow_query_token": True,
    }
    header = [(b"authorization", b"Bearer from-header")]
    assert read(headers=header, **everywhere).token == "from-header"
    assert read(**everywhere).token == "from-subprotocol"
    assert read(**{**everywhere, "subprotocols": []}).token == "from-query"
    assert read().token is None


@pytest.mark.parametrize(
    "headers",
    [
        [(b"authorization", b"Basic eDp4")],
        [(b"authorization", b"Bearer")],
        [(b"authorization", b"Bearer a"), (b"authorization", b"Bearer b")],
    ],
)
def test_a_header_that_is_no_bearer_token_is_refused_not_skipped(
    headers: list[tuple[bytes, bytes]],
) -> None:
    asked = read(headers=headers, subprotocols=["bearer.good"])
    assert asked.token is None
    assert asked.refusal is not None
    assert asked.refusal[0] == 4501


def test_a_token_in_the_query_is_refused_unless_allowed() -> None:
    asked = read(query=b"token=secret")
    assert asked.token is None
    assert asked.refusal is not None
    assert asked.refusal[0] == 4501
    assert "secret" not in asked.refusal[1]


@pytest.mark.parametrize(
    ("offered", "answered", "refused"),
    [
        ([], None, None),
        (["sharezync.v1"], "sharezync.v1", None),
        (["bearer.t", "sharezync.v1"], "sharezync.v1", None),
        (["other", "sharezync.v1"], "sharezync.v1", None),
        (["bearer.t"], None, None),
        (["sharezync.v2"], None, 4509),
        (["sharezync.v2", "bearer.t"], None, 4509),
    ],
)
def test_only_our_subprotocol_is_answered(
    offered: list[str], answered: str | None, refused: int | None
) -> None:
    asked = read(subprotocols=offered)
    assert asked.subprotocol == answered
    assert (asked.refusal and asked.refusal[0]) == refused


@pytest.mark.parametrize(
    ("origins", "sent", "fine"),
    [
        (("https://a.example",), [b"https://a.example"], True),
        (("https://a.example",), [], True),
        ((), [], True),
        ((), [b"https://a.example"], False),
        (("https://a.example",), [b"http://a.example"], False),
        (("https://a.example",), [b"https://a.example:8443"], False),
        (("https://a.example",), [b"null"], False),
        (("https://a.example",), [b"https://a.example", b"https://b.example"], False),
        (("*",), [b"https://b.example"], True),
    ],
)
def test_origins_are_compared_whole(
    origins: tuple[str, ...], sent: list[bytes], *, fine: bool
) -> None:
    headers = [(b"origin", value) for value in sent]
    if fine:
        assert read(headers=headers, origins=origins).refusal is None
    else:
        with pytest.raises(Forbidden):
            read(headers=headers, origins=origins)
