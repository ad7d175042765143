"""Batches of commands: bounded in number and in bytes, users in turn."""

import asyncio
import json
from collections.abc import Sequence
from typing import Any, cast
from uuid import NAMESPACE_OID, uuid5

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from sharezync_gateway.realtime.commands import CommandQueue
from sharezync_gateway.realtime.protocol import MAX_TEXT_BYTES, SendMessage, read_body, size_in_utf8
from sharezync_gateway.realtime.service_calls import ServiceCalls
from sharezync_shared.calls.client import ServiceUnavailable
from sharezync_shared.contracts.commands import Command, CommandResult
from sharezync_shared.ids import DeviceId, UserId, uuid7
from sharezync_shared.sizes import (
    COMMAND_BYTES,
    COMMANDS_AT_ONCE,
    MAX_COMMANDS_BYTES,
    MAX_JSON_BODY_BYTES,
    MAX_TEXT_CHARACTERS,
)

CHANNEL = uuid7()


def user_of(name: str) -> UserId:
    return UserId(uuid5(NAMESPACE_OID, name))


class Chat:
    """Takes batches as chat does: none that is more than a JSON request may be."""

    def __init__(self) -> None:
        self.batches: list[list[Command]] = []
        self.open = asyncio.Event()
        self.open.set()
        self.away = False

    async def commands(self, batch: Sequence[Command]) -> list[CommandResult]:
        assert len(batch) <= COMMANDS_AT_ONCE
        assert len(msgspec.json.encode({"commands": batch})) <= MAX_JSON_BODY_BYTES
        self.batches.append(list(batch))
        await self.open.wait()
        if self.away:
            raise ServiceUnavailable("chat", "away")
        return [CommandResult(msgspec.Raw(b"{}")) for _ in batch]

    def texts(self) -> list[list[str | None]]:
        return [[cast("SendMessage", c.data).text for c in batch] for batch in self.batches]


class Senders:
    """People who say things through one queue."""

    def __init__(self) -> None:
        self.chat = Chat()
        self.queue = CommandQueue(cast("ServiceCalls", self.chat))
        self.outcomes: list[CommandResult] = []

    def say(self, user_id: str, text: str) -> None:
        frame = json.dumps(
            {"type": "send_message", "id": 1, "channel_id": str(CHANNEL), "text": text},
            ensure_ascii=False,
        )
        said = SendMessage(CHANNEL, text)
        command = Command(user_of(user_id), "send_message", said, DeviceId(uuid7()))
        self.queue.submit(command, size_in_utf8(frame), self.outcomes.append)

    def codes(self) -> list[str | None]:
        return [each.problem.code if each.problem else None for each in self.outcomes]

    async def all_done(self) -> None:
        while self.queue._task is not None:
            await asyncio.wait([self.queue._task])


async def test_the_longest_messages_of_one_user_and_a_strangers_short_one_are_all_sent() -> None:
    senders = Senders()
    for _ in range(60):
        senders.say("ada", "🙂" * MAX_TEXT_CHARACTERS)
    senders.say("bob", "hello")
    await senders.all_done()
    assert senders.codes() == [None] * 61
    # The first batch was full before bob came; he is in the very next.
    place = next(n for n, texts in enumerate(senders.chat.texts()) if "hello" in texts)
    assert place <= 1


async def test_users_take_turns() -> None:
    senders = Senders()
    senders.chat.open.clear()
    senders.say("eve", "first")
    await asyncio.sleep(0)
    for n in range(1000):
        senders.say("ada", f"ada {n}")
    for n in range(3):
        senders.say("bob", f"bob {n}")
    senders.chat.open.set()
    await senders.all_done()
    second = senders.chat.texts()[1]
    assert second[:7] == ["ada 0", "bob 0", "ada 1", "bob 1", "ada 2", "bob 2", "ada 3"]
    said = [text for texts in senders.chat.texts() for text in texts if text and "ada" in text]
    assert said == [f"ada {n}" for n in range(1000)]


async def test_what_waits_is_bounded_in_bytes_for_a_user_and_for_all() -> None:
    senders = Senders()
    senders.chat.open.clear()
    longest = "x" * MAX_TEXT_CHARACTERS
    for _ in range(1000):
        senders.say("ada", longest)
    refused = senders.codes()
    assert set(refused) == {"rate-limited"}
    assert 400 < len(refused) < 600  # 8 MiB of hers wait
    for user in range(5):
        for _ in range(600):
            senders.say(f"another {user}", longest)
    before = len(senders.outcomes)
    senders.say("bob", longest)  # all of the room is taken, and not by him
    assert len(senders.outcomes) == before
    senders.say("bob", longest)
    assert len(senders.outcomes) == before + 1
    senders.chat.open.set()
    await senders.all_done()
    assert {code for code in senders.codes() if code} == {"rate-limited"}


def test_a_command_of_the_largest_frame_fits_into_a_batch() -> None:
    assert MAX_TEXT_BYTES + COMMAND_BYTES <= MAX_COMMANDS_BYTES


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=50)


@given(
    text=st.none() | texts,
    key=st.none() | texts,
    attachments=st.lists(texts, max_size=3),
    escaped=st.booleans(),
)
def test_a_command_weighs_no_more_than_its_frame_and_what_is_added(
    text: str | None, key: str | None, attachments: list[str], escaped: bool
) -> None:
    said: dict[str, Any] = {"channel_id": str(CHANNEL), "attachments": attachments}
    said |= {"text": text} if text is not None else {}
    said |= {"client_message_id": key} if key is not None else {}
    frame = json.dumps(said, ensure_ascii=escaped, separators=(",", ":"))
    command = Command(
        UserId(uuid7()), "send_message", read_body(frame, SendMessage), DeviceId(uuid7())
    )
    assert len(msgspec.json.encode(command)) + 1 <= size_in_utf8(frame) + COMMAND_BYTES


async def test_who_waits_behind_a_batch_that_is_not_answered_does_not_wait_once_more() -> None:
    senders = Senders()
    senders.chat.open.clear()
    senders.say("ada", "first")
    await asyncio.sleep(0)
    for number in range(3 * COMMANDS_AT_ONCE):
        senders.say(f"user {number}", "later")
    senders.chat.away = True
    senders.chat.open.set()
    await senders.all_done()
    assert senders.codes() == ["unavailable"] * (1 + 3 * COMMANDS_AT_ONCE)
    assert len(senders.chat.batches) == 1
    senders.chat.away = False
    senders.say("ada", "again")
    await senders.all_done()
    assert senders.codes()[-1] is None
