"""The calls to the services, as they look on the wire."""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable
from typing import Any
from uuid import UUID

import httpx
import pytest

from sharezync_gateway.realtime.http_peers import HttpPeers
from sharezync_gateway.realtime.peers import (
    Belief,
    Command,
    PeerUnavailable,
    Refusal,
    Revoked,
    owner_of,
)
from sharezync_gateway.realtime.protocol import MarkRead, SendMessage
from sharezync_shared.testing.waiting import GIVE_UP_SECONDS

CHANNEL = "01936f0c-2b7e-7d33-8d7a-0c8e3a7c1f10"


class Wire:
    """The services' end: answers by path, and remembers what was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, str, dict[str, str], Any]] = []
        self.answers: dict[str, Any] = {}
        self.clients: dict[str, httpx.AsyncClient] = {}

    def client(self, service: str) -> httpx.AsyncClient:
        if service not in self.clients:
            self.clients[service] = httpx.AsyncClient(
                base_url=f"http://{service}", transport=httpx.MockTransport(self._answer)
            )
        return self.clients[service]

    def _answer(self, request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content) if request.content else None
        self.asked.append(
            (request.url.host, request.method, request.url.path, dict(request.url.params), body)
        )
        answer = self.answers.get(f"{request.url.host}{request.url.path}")
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, httpx.Response):
            return answer
        return httpx.Response(200, json=answer) if answer is not None else httpx.Response(404)


@pytest.fixture
async def wire() -> AsyncGenerator[Wire]:
    wire = Wire()
    yield wire
    for client in wire.clients.values():
        await client.aclose()


@pytest.fixture
def peers(wire: Wire) -> HttpPeers:
    return HttpPeers(wire.client)


async def test_heads_are_gathered_from_all_owners(wire: Wire, peers: HttpPeers) -> None:
    heads = "/internal/streams/heads"
    wire.answers[f"chat{heads}"] = {"streams": {"channel:a": ["e", 4]}}
    wire.answers[f"auth{heads}"] = {"streams": {"account:u": ["f", 0]}, "more": 1}
    wire.answers[f"transfer{heads}"] = httpx.ConnectError("away")
    found = await peers.heads("u")
    assert found.streams == {"channel:a": ("e", 4), "account:u": ("f", 0)}
    assert found.missing == {"transfer"}
    assert ("chat", "GET", heads, {"user_id": "u"}, None) in wire.asked


async def test_a_replay_asks_the_owner_and_becomes_frames(wire: Wire, peers: HttpPeers) -> None:
    wire.answers["chat/internal/streams/replay"] = {
        "stream": "channel:a",
        "epoch": "e",
        "head": 9,
        "reset": False,
        "frames": ['{"a":"é"}', "{}"],
        "seqs": [8, 9],
        "controls": [None, {"leave": ["u"]}],
    }
    replayed = await peers.replay("channel:a", ("e", 7))
    assert (replayed.epoch, replayed.head, replayed.reset) == ("e", 9, False)
    assert [(f.stream, f.epoch, f.seq, f.text) for f in replayed.frames] == [
        ("channel:a", "e", 8, '{"a":"é"}'.encode()),
        ("channel:a", "e", 9, b"{}"),
    ]
    assert replayed.frames[0].control is None
    assert replayed.frames[1].control is not None
    assert replayed.frames[1].control.leave == ["u"]
    assert wire.asked[0][3] == {"stream": "channel:a", "epoch": "e", "after": "7"}


async def test_commands_travel_in_one_call(wire: Wire, peers: HttpPeers) -> None:
    wire.answers["chat/internal/commands"] = {
        "results": [
            {"data": {"id": "m1", "text": "é"}},
            {
                "problem": {
                    "type": "urn:sharezync:problem:not-found",
                    "title": "No",
                    "status": 404,
                    "detail": "No such channel",
                    "code": "not-found",
                }
            },
        ]
    }
    done, refused = await peers.commands(
        [
            Command("u", None, "send_message", SendMessage(UUID(CHANNEL), "hi")),
            Command("v", "d", "mark_read", MarkRead(UUID(CHANNEL), 4)),
        ]
    )
    assert json.loads(bytes(done.data)) == {"id": "m1", "text": "é"}
    assert refused.problem == Refusal("not-found", "No such channel", 404)
    assert wire.asked[0][4] == {
        "commands": [
            {
                "user_id": "u",
                "device_id": None,
                "kind": "send_message",
                "data": {"channel_id": CHANNEL, "text": "hi"},
            },
            {
                "user_id": "v",
                "device_id": "d",
                "kind": "mark_read",
                "data": {"channel_id": CHANNEL, "seq": 4},
            },
        ]
    }


async def test_auth_is_told_of_devices(wire: Wire, peers: HttpPeers) -> None:
    wire.answers["auth/internal/devices/connect"] = {"id": "d1", "client_id": "laptop"}
    wire.answers["auth/internal/devices/disconnect"] = httpx.Response(204)
    assert await peers.connect_device("n", "u", "s", "laptop") == "d1"
    await peers.disconnect_device("n", "u", "d1")
    assert [(method, told) for _, method, _, _, told in wire.asked] == [
        ("POST", {"node_id": "n", "user_id": "u", "session_id": "s", "client_id": "laptop"}),
        ("POST", {"node_id": "n", "user_id": "u", "device_id": "d1"}),
    ]


async def test_auth_is_told_of_the_node(wire: Wire, peers: HttpPeers) -> None:
    wire.answers["auth/internal/nodes/n/heartbeat"] = {
        "lease_seconds": 45,
        "devices": 3,
        "digest": 7,
    }
    wire.answers["auth/internal/nodes/n/devices"] = {"lease_seconds": 45, "devices": 2, "digest": 6}
    wire.answers["auth/internal/nodes/n"] = httpx.Response(204)
    assert await peers.beat("n") == Belief(45, 3, 7)
    assert await peers.list_devices("n", ["d1", "d2"], after=None, up_to="d2") == Belief(45, 2, 6)
    await peers.leave("n")
    assert [(method, told) for _, method, _, _, told in wire.asked] == [
        ("POST", None),
        ("PUT", {"device_ids": ["d1", "d2"], "after": None, "up_to": "d2"}),
        ("DELETE", None),
    ]


async def test_auth_is_asked_what_was_revoked(wire: Wire, peers: HttpPeers) -> None:
    wire.answers["auth/internal/revocations"] = {"sessions": ["s1"], "users": []}
    assert await peers.revocations(600) == Revoked(["s1"], [])
    assert wire.asked[0][3:] == ({"since_seconds": "600"}, None)


async def test_a_heartbeat_does_not_wait_behind_thousands_who_connect() -> None:
    connecting = asyncio.Event()

    async def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/internal/devices/connect":
            await connecting.wait()
            return httpx.Response(200, json={"id": "d"})
        return httpx.Response(
            200, json={"lease_seconds": 45, "devices": 0, "digest": 0, "sessions": []}
        )

    transport = httpx.MockTransport(answer)
    async with httpx.AsyncClient(base_url="http://auth", transport=transport) as client:
        peers = HttpPeers(lambda _: client)
        async with asyncio.TaskGroup() as group:
            for number in range(1000):
                group.create_task(peers.connect_device("n", "u", "s", str(number)))
            await asyncio.sleep(0)
            async with asyncio.timeout(GIVE_UP_SECONDS):
                assert (await peers.beat("n")).lease_seconds == 45
                assert (await peers.revocations(1)).sessions == []
            connecting.set()


@pytest.mark.parametrize(
    "answer",
    [
        httpx.ConnectError("no"),
        httpx.ReadTimeout("no"),
        httpx.Response(500),
        httpx.Response(401),
        httpx.Response(200, content=b"<html>"),
        httpx.Response(200, json={"streams": 7}),
    ],
)
@pytest.mark.parametrize(
    "ask",
    [
        lambda peers: peers.replay("channel:a", ("e", 0)),
        lambda peers: peers.commands([Command("u", None, "x", MarkRead(UUID(CHANNEL)))]),
    ],
)
async def test_anything_but_an_answer_is_unavailable(
    wire: Wire, peers: HttpPeers, answer: object, ask: Callable[[HttpPeers], Any]
) -> None:
    wire.answers["chat/internal/streams/replay"] = answer
    wire.answers["chat/internal/commands"] = answer
    with pytest.raises(PeerUnavailable) as unavailable:
        await ask(peers)
    assert unavailable.value.service == "chat"


async def test_too_few_results_are_no_answer(wire: Wire, peers: HttpPeers) -> None:
    wire.answers["chat/internal/commands"] = {"results": []}
    with pytest.raises(PeerUnavailable):
        await peers.commands([Command("u", None, "mark_read", MarkRead(UUID(CHANNEL)))])


async def test_a_stream_of_nobody_cannot_be_replayed(peers: HttpPeers) -> None:
    with pytest.raises(PeerUnavailable):
        await peers.replay("nonsense", ("e", 0))


@pytest.mark.parametrize(
    ("stream", "owner"),
    [
        ("channel:x", "chat"),
        ("inbox:x", "chat"),
        ("transfers:x", "transfer"),
        ("account:x", "auth"),
        ("transfer:x", None),
        ("x", None),
    ],
)
def test_streams_have_owners(stream: str, owner: str | None) -> None:
    assert owner_of(stream) == owner


async def test_presence_is_asked_of_auth(wire: Wire, peers: HttpPeers) -> None:
    wire.answers["auth/internal/presence"] = {
        "online": ["a"],
        "last_seen": {"a": "2026-11-21T17:00:00Z", "b": "2026-11-21T16:00:00Z"},
    }
    found = await peers.presence(["a", "b", "c"])
    assert found.online == {"a"}
    assert found.last_seen["b"] == "2026-11-21T16:00:00Z"
    body = {"user_ids": ["a", "b", "c"]}
    assert wire.asked == [("auth", "POST", "/internal/presence", {}, body)]


@pytest.mark.parametrize("looking", ["user", "others"])
async def test_who_may_see_whom_is_what_chat_says_and_who_blocked_is_hidden(
    wire: Wire, peers: HttpPeers, looking: str
) -> None:
    wire.answers["chat/internal/acquaintances"] = {"ids": ["b", "c", "e", "f"]}
    wire.answers["auth/internal/blocks"] = {
        "ids": ["c", "d", "e", "f"],
        "blocked": ["c", "f"],
        "blocking": ["d", "e", "f"],
    }
    ask = peers.acquaintances if looking == "user" else peers.viewers
    hidden = {"e"} if looking == "user" else {"c"}
    assert await ask("a", ["b", "c", "d"]) == ({"b"}, hidden)
    body = {"user_id": "a", "other_ids": ["b", "c", "d"]}
    assert sorted(wire.asked) == [
        ("auth", "POST", "/internal/blocks", {}, body),
        ("chat", "POST", "/internal/acquaintances", {}, {**body, "looking": looking}),
    ]
    for path in ("chat/internal/acquaintances", "auth/internal/blocks"):
        answer, wire.answers[path] = wire.answers[path], httpx.Response(503)
        with pytest.raises(PeerUnavailable):
            await ask("a", ["b"])
        wire.answers[path] = answer
