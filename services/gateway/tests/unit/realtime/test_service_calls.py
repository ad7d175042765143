"""The calls to the services, as they look on the wire."""

import asyncio
import json
from collections.abc import Callable
from typing import Any
from uuid import UUID

import httpx
import pytest
from structlog.testing import capture_logs

from services.gateway.tests.unit.realtime.wire import Wire
from sharezync_gateway.realtime.protocol import MarkRead, SendMessage
from sharezync_gateway.realtime.service_calls import Revoked, ServiceCalls, owner_of
from sharezync_shared.calls.client import ServiceUnavailable
from sharezync_shared.contracts.auth import NodeLease, NodeUpdate, TooManyDevices
from sharezync_shared.contracts.commands import Command, Refusal
from sharezync_shared.contracts.services import Services
from sharezync_shared.ids import DeviceId, UserId
from sharezync_shared.problems import refusal_document
from sharezync_testkit.waiting import GIVE_UP_SECONDS

CHANNEL = "01936f0c-2b7e-7d33-8d7a-0c8e3a7c1f10"


AT = "2026-11-21T17:00:00Z"
ADA, BOB, CLEO, DAVE = (str(UUID(int=number)) for number in range(1, 5))
EVE, FAY = (str(UUID(int=number)) for number in range(9, 11))
NODE, PHONE, LAPTOP, LOGIN = (str(UUID(int=number)) for number in range(5, 9))
DEVICE = {"id": LAPTOP}
LEASE = {"lease_seconds": 45, "seq": 7, "accepted": True}


def command(user_id: str, kind: str, data: object, device_id: str | None = None) -> Command:
    device = DeviceId(UUID(device_id)) if device_id else None
    return Command(UserId(UUID(user_id)), kind, data, device)


@pytest.fixture
def wire() -> Wire:
    return Wire()


@pytest.fixture
def calls(wire: Wire) -> ServiceCalls:
    return ServiceCalls(Services.from_platform(wire))


async def test_heads_are_gathered_from_all_owners(wire: Wire, calls: ServiceCalls) -> None:
    heads = "/internal/streams/heads"
    wire.answers[f"chat{heads}"] = {"streams": {"channel:a": ["e", 4]}}
    wire.answers[f"auth{heads}"] = {"streams": {"account:u": ["f", 0]}, "more": 1}
    wire.answers[f"transfer{heads}"] = httpx.ConnectError("away")
    found = await calls.heads(ADA)
    assert found.streams == {"channel:a": ("e", 4), "account:u": ("f", 0)}
    assert found.missing == {"transfer"}
    assert ("chat", "GET", heads, {"user_id": ADA}, None) in wire.asked


async def test_a_replay_asks_the_owner_and_becomes_frames(wire: Wire, calls: ServiceCalls) -> None:
    wire.answers["chat/internal/streams/replay"] = {
        "stream": "channel:a",
        "epoch": "e",
        "head": 9,
        "reset": False,
        "frames": ['{"a":"é"}', "{}"],
        "seqs": [8, 9],
        "controls": [None, {"leave": ["u"]}],
    }
    replayed = await calls.replay("channel:a", ("e", 7))
    assert (replayed.epoch, replayed.head, replayed.reset) == ("e", 9, False)
    assert [(f.stream, f.epoch, f.seq, f.text) for f in replayed.frames] == [
        ("channel:a", "e", 8, '{"a":"é"}'.encode()),
        ("channel:a", "e", 9, b"{}"),
    ]
    assert replayed.frames[0].control is None
    assert replayed.frames[1].control is not None
    assert replayed.frames[1].control.leave == ["u"]
    assert wire.asked[0][3] == {"stream": "channel:a", "epoch": "e", "after": "7"}


async def test_commands_travel_in_one_call(wire: Wire, calls: ServiceCalls) -> None:
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
    done, refused = await calls.commands(
        [
            command(ADA, "send_message", SendMessage(UUID(CHANNEL), "hi")),
            command(BOB, "mark_read", MarkRead(UUID(CHANNEL), 4), PHONE),
        ]
    )
    assert json.loads(bytes(done.data)) == {"id": "m1", "text": "é"}
    assert refused.problem == Refusal("not-found", "No such channel", 404)
    assert wire.asked[0][4] == {
        "commands": [
            {
                "user_id": ADA,
                "device_id": None,
                "traceparent": None,
                "kind": "send_message",
                "data": {"channel_id": CHANNEL, "text": "hi"},
            },
            {
                "user_id": BOB,
                "device_id": PHONE,
                "traceparent": None,
                "kind": "mark_read",
                "data": {"channel_id": CHANNEL, "seq": 4},
            },
        ]
    }


async def test_auth_is_told_of_devices(wire: Wire, calls: ServiceCalls) -> None:
    wire.answers["auth/internal/devices/connect"] = DEVICE
    assert await calls.connect_device(ADA, LOGIN, "laptop") == LAPTOP
    told = {"user_id": ADA, "client_id": "laptop", "session_id": LOGIN}
    assert wire.asked == [("auth", "POST", "/internal/devices/connect", {}, told)]


async def test_one_device_too_many_is_no_failure_of_auth(wire: Wire, calls: ServiceCalls) -> None:
    refused = httpx.Response(409, json=refusal_document(TooManyDevices(limit=100)))
    wire.answers["auth/internal/devices/connect"] = refused
    with capture_logs() as logged, pytest.raises(TooManyDevices):
        await calls.connect_device(ADA, LOGIN, "laptop")
    assert not [event for event in logged if event["log_level"] != "debug"]


async def test_auth_is_told_of_the_node(wire: Wire, calls: ServiceCalls) -> None:
    path = f"/internal/nodes/{NODE}/updates"
    wire.answers[f"auth{path}"] = LEASE
    change = NodeUpdate(7, 5, [UUID(PHONE)], [UUID(LAPTOP)])
    assert await calls.update_node(NODE, change) == NodeLease(45, 7, accepted=True)
    told = {"seq": 7, "after": 5, "connected": [PHONE], "disconnected": [LAPTOP]}
    assert wire.asked == [("auth", "POST", path, {}, told)]


async def test_auth_is_asked_what_was_revoked(wire: Wire, calls: ServiceCalls) -> None:
    wire.answers["auth/internal/revocations"] = {"sessions": [LOGIN], "users": []}
    assert await calls.revocations(600) == Revoked([LOGIN], [])
    assert wire.asked[0][3:] == ({"since_seconds": "600"}, None)


async def test_a_heartbeat_does_not_wait_behind_thousands_who_connect(
    wire: Wire, calls: ServiceCalls
) -> None:
    connecting = asyncio.Event()

    async def connect(_: httpx.Request) -> httpx.Response:
        await connecting.wait()
        return httpx.Response(200, json=DEVICE)

    wire.answers["auth/internal/devices/connect"] = connect
    wire.answers[f"auth/internal/nodes/{NODE}/updates"] = LEASE
    wire.answers["auth/internal/revocations"] = {"sessions": [], "users": []}
    async with asyncio.TaskGroup() as group:
        for number in range(1000):
            group.create_task(calls.connect_device(ADA, LOGIN, str(number)))
        await asyncio.sleep(0)
        async with asyncio.timeout(GIVE_UP_SECONDS):
            assert (await calls.update_node(NODE, NodeUpdate(1, 0, [], []))).lease_seconds == 45
            assert (await calls.revocations(1)).sessions == []
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
        lambda calls: calls.replay("channel:a", ("e", 0)),
        lambda calls: calls.commands([command(ADA, "x", MarkRead(UUID(CHANNEL)))]),
    ],
)
async def test_anything_but_an_answer_is_unavailable(
    wire: Wire, calls: ServiceCalls, answer: object, ask: Callable[[ServiceCalls], Any]
) -> None:
    wire.answers["chat/internal/streams/replay"] = answer
    wire.answers["chat/internal/commands"] = answer
    with pytest.raises(ServiceUnavailable) as unavailable:
        await ask(calls)
    assert unavailable.value.service == "chat"


async def test_too_few_results_are_no_answer(wire: Wire, calls: ServiceCalls) -> None:
    wire.answers["chat/internal/commands"] = {"results": []}
    with pytest.raises(ServiceUnavailable):
        await calls.commands([command(ADA, "mark_read", MarkRead(UUID(CHANNEL)))])


async def test_a_stream_of_nobody_cannot_be_replayed(calls: ServiceCalls) -> None:
    with pytest.raises(ServiceUnavailable):
        await calls.replay("nonsense", ("e", 0))


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


async def test_presence_is_asked_of_auth(wire: Wire, calls: ServiceCalls) -> None:
    wire.answers["auth/internal/presence"] = {
        "online": [ADA],
        "last_seen": {ADA: "2026-11-21T17:00:00Z", BOB: "2026-11-21T16:00:00Z"},
    }
    found = await calls.presence([ADA, BOB, CLEO])
    assert found.online == {ADA}
    assert found.last_seen[BOB] == "2026-11-21T16:00:00Z"
    body = {"user_ids": [ADA, BOB, CLEO]}
    assert wire.asked == [("auth", "POST", "/internal/presence", {}, body)]


async def test_many_are_asked_about_in_batches(wire: Wire, calls: ServiceCalls) -> None:
    users = [str(UUID(int=number)) for number in range(1, 451)]

    async def all_online(request: httpx.Request) -> httpx.Response:
        ids = json.loads(request.content)["user_ids"]
        return httpx.Response(200, json={"online": ids, "last_seen": dict.fromkeys(ids, AT)})

    async def all_acquainted(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={"ids": json.loads(request.content)["other_ids"]})

    wire.answers["auth/internal/presence"] = all_online
    wire.answers["chat/internal/acquaintances"] = all_acquainted
    wire.answers["auth/internal/blocks"] = {"ids": users[:1], "blocked": [], "blocking": users[:1]}
    found = await calls.presence(users)
    assert found.online == found.last_seen.keys() == set(users)
    assert await calls.acquaintances(EVE, users) == (set(users[1:]), set(users[:1]))
    asked = [
        (path, len(body.get("user_ids") or body["other_ids"])) for *_, path, _, body in wire.asked
    ]
    assert sorted(asked) == sorted(
        (path, count)
        for path in ("/internal/presence", "/internal/acquaintances", "/internal/blocks")
        for count in (200, 200, 50)
    )


@pytest.mark.parametrize("looking", ["user", "others"])
async def test_who_may_see_whom_is_what_chat_says_and_who_blocked_is_hidden(
    wire: Wire, calls: ServiceCalls, looking: str
) -> None:
    wire.answers["chat/internal/acquaintances"] = {"ids": [BOB, CLEO, EVE, FAY]}
    wire.answers["auth/internal/blocks"] = {
        "ids": [CLEO, DAVE, EVE, FAY],
        "blocked": [CLEO, FAY],
        "blocking": [DAVE, EVE, FAY],
    }
    ask = calls.acquaintances if looking == "user" else calls.viewers
    hidden = {EVE} if looking == "user" else {CLEO}
    assert await ask(ADA, [BOB, CLEO, DAVE]) == ({BOB}, hidden)
    body = {"user_id": ADA, "other_ids": [BOB, CLEO, DAVE]}
    assert sorted(wire.asked) == [
        ("auth", "POST", "/internal/blocks", {}, body),
        ("chat", "POST", "/internal/acquaintances", {}, {**body, "looking": looking}),
    ]
    for path in ("chat/internal/acquaintances", "auth/internal/blocks"):
        answer, wire.answers[path] = wire.answers[path], httpx.Response(503)
        with pytest.raises(ServiceUnavailable):
            await ask(ADA, [BOB])
        wire.answers[path] = answer
