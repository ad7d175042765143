"""The document of the socket, as the product serves it: whole, and as the guide says."""

import re
from pathlib import Path

import httpx
import pytest

from sharezync_testkit.frames import Protocol
from tests.blackbox.people import Json, Person, protocol_at

GUIDE = Path(__file__).parents[2] / "docs" / "realtime.md"

# Frames that were promised under these names: clients are written against them.
FROM_CLIENTS = """
    authenticate resume replay subscribe unsubscribe send_message mark_read typing ping pong
    file_transfer_start file_chunk chunk_ack transfer_complete transfer_accept transfer_reject
    transfer_pause transfer_resume transfer_cancel
"""
TO_CLIENTS = """
    hello ready resumed reset reply error ping pong bye incoming_transfer chunk_ack progress_update
    transfer_completed typing presence message.created message.updated message.deleted
    message.reaction_added message.reaction_removed message.pinned message.unpinned channel.created
    channel.updated channel.deleted member.joined member.left member.updated read.updated
    transfer_updated session.revoked user.updated
"""


@pytest.fixture
async def spoken(base_url: str) -> Protocol:
    return await protocol_at(base_url)


async def test_anybody_may_read_it(base_url: str) -> None:
    async with httpx.AsyncClient(base_url=base_url) as http:
        answer = await http.get("/asyncapi.json")
    assert answer.status_code == 200
    document = answer.json()
    assert document["asyncapi"] == "3.0.0"
    assert {server["protocol"] for server in document["servers"].values()} == {"{protocol}", "amqp"}


async def test_every_promised_frame_is_in_it(spoken: Protocol) -> None:
    assert set(FROM_CLIENTS.split()) == spoken.types("client")
    # WebSocket's own pings do what a `ping` to clients would.
    assert set(TO_CLIENTS.split()) - {"ping"} <= spoken.types("server")


async def test_every_command_has_its_reply(spoken: Protocol) -> None:
    messages = spoken.document["components"]["messages"]
    answered = {name.removeprefix("reply.") for name in messages if name.startswith("reply.")}
    without = {"resume", "replay", "ping", "pong", "file_chunk", "chunk_ack"}
    assert answered == spoken.types("client") - without


async def test_the_guide_names_the_same_events(spoken: Protocol) -> None:
    told: dict[str, set[str]] = {}
    for name in spoken.document["components"]["messages"]:
        word, _, rest = name.partition(".")
        if word in {"event", "signal"}:
            stream, _, kind = rest.partition(".")
            told.setdefault(stream, set()).add(kind)
    assert guide() == told


def guide() -> dict[str, set[str]]:
    """Return the events of each kind of stream, as the table in the guide has them."""
    found: dict[str, set[str]] = {}
    for stream, events in re.findall(r"^\| `(\w+):` \| (.+) \|$", GUIDE.read_text(), re.MULTILINE):
        prefix = ""
        for said in re.findall(r"`([\w.]+)`", events):
            kind = prefix + said if said.startswith(".") else said
            prefix = kind.partition(".")[0]
            found.setdefault(stream, set()).add(kind)
    return found


async def test_the_guide_names_the_same_close_codes(spoken: Protocol) -> None:
    text = GUIDE.read_text()
    named = set(re.findall(r"\b(4\d\d\d) [a-z]", text)) | set(re.findall(r"\b(10\d\d)[,:] ", text))
    for name in ("device", "channel"):
        assert set(spoken.document["channels"][name]["x-close-codes"]) == named


async def test_sockets_say_only_what_is_in_it(alice: Person, bob: Person) -> None:
    """What the whole suite is held to, seen to be held: here are many frames of many types."""
    channel = await alice.channel()
    async with alice.connected() as alices, bob.connected() as bobs:
        await alice.add(channel, bob)
        await bobs.event("member.joined", channel_id=channel)
        reply = await bobs.command("send_message", channel_id=channel, text="hello @all")
        message = reply["data"]
        await alices.event("message.created", id=message["id"])
        await alices.command("mark_read", channel_id=channel)
        await alices.command("subscribe", users=[bob.id], channels=[channel])
        await alices.command("unsubscribe", users=[bob.id])
        await alices.command("no_such_command")
        refused = await alices.command("mark_read", channel_id=channel, seq=-1)
        assert refused["type"] == "error"
        await alices.send({"type": "ping", "id": "last", "heads": True})
        await alices.frame(lambda frame: frame.get("id") == "last")
        types = {frame["type"] for frame in [*alices.frames, *bobs.frames]}
    assert {"hello", "ready", "reply", "error", "pong", "message.created"} <= types
    assert alices.conversation.faults == bobs.conversation.faults == []


async def test_a_frame_that_is_not_in_it_would_be_noticed(alice: Person, spoken: Protocol) -> None:
    async with alice.connected() as socket:
        hello: Json = socket.frames[0]
    assert spoken.fault("server", hello) is None
    assert spoken.fault("server", {**hello, "more": True})
