"""The rules of posting, one message at a time, without a database."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec
import pytest

from sharezync_chat.errors import (
    AttachmentUnusable,
    ChannelArchived,
    ClientMessageIdReused,
    NotMember,
)
from sharezync_chat.models import ChannelId, MessageId, channel_stream
from sharezync_chat.schemas import AttachmentRead, MessageRead
from sharezync_chat.usecases.batch import MessageBatch, MessageDraft, PostedMessage
from sharezync_shared.ids import UserId, uuid7
from sharezync_shared.problems import Invalid, NotFound, Problem

NOW = datetime(2026, 11, 21, 17, tzinfo=UTC)
CHANNEL, OTHER = ChannelId(uuid7()), ChannelId(uuid7())
ADA, BOB = UserId(uuid7()), UserId(uuid7())


def draft(author: UserId = ADA, **more: Any) -> MessageDraft:
    given = {"id": MessageId(uuid7()), "channel_id": CHANNEL, "text": "hello"}
    return MessageDraft(author_id=author, **{**given, **more})


def found(**more: Any) -> dict[str, Any]:
    """What the database says of a member who posts into an open channel of 7 messages."""
    return {
        "channel_id": CHANNEL,
        "kind": "private",
        "archived": False,
        "message_count": 7,
        "role": "member",
        "username": "ada",
        "display_name": "Ada",
        "first_id": None,
        "first_channel_id": None,
        "reply_id": None,
        "peer_blocked": None,
        "peer_reachable": None,
        "inbox_seq": None,
        **more,
    }


def batch() -> MessageBatch:
    return MessageBatch({channel_stream(CHANNEL): 40, channel_stream(OTHER): 0}, "e1", NOW)


def test_messages_of_a_batch_follow_each_other() -> None:
    taken = batch()
    for author in (ADA, BOB, ADA):
        taken.add_draft(draft(author), found())
    outcomes = [outcome for outcome in taken.outcomes() if isinstance(outcome, PostedMessage)]
    assert [outcome.at.seq for outcome in outcomes] == [41, 42, 43]
    bodies = [msgspec.json.decode(outcome.body) for outcome in outcomes]
    assert [body["number"] for body in bodies] == [8, 9, 10]
    assert [entry.data for entry in taken.entries] == [outcome.body for outcome in outcomes]
    assert taken.columns.message_counts == {CHANNEL: 10}
    assert taken.columns.has_read == {(CHANNEL, ADA): (43, 10), (CHANNEL, BOB): (42, 9)}


def test_the_document_made_by_hand_is_the_one_that_is_read_later() -> None:
    file = AttachmentRead(file_id=uuid7(), name="a", size_bytes=1, mime="text/plain")
    taken = batch()
    reply_to = MessageId(uuid7())
    posting = draft(attachments=(file,), client_message_id="k", reply_to=reply_to)
    taken.add_draft(posting, found(reply_id=reply_to))
    (posted,) = taken.outcomes()
    assert isinstance(posted, PostedMessage)
    read = MessageRead.model_validate_json(posted.body)
    assert read.model_dump_json().encode() == posted.body
    assert read.attachments == [file]


@pytest.mark.parametrize(
    ("row", "more", "refusal"),
    [
        ({"channel_id": None, "kind": None, "role": None}, {}, NotFound),
        ({"role": None}, {}, NotFound),
        ({"role": None, "kind": "public"}, {}, NotMember),
        ({"archived": True}, {}, ChannelArchived),
        ({}, {"reply_to": MessageId(uuid7())}, Invalid),
        ({}, {"refusal": AttachmentUnusable()}, AttachmentUnusable),
        ({"first_id": uuid7(), "first_channel_id": OTHER}, {}, ClientMessageIdReused),
        ({"role": None}, {"refusal": AttachmentUnusable()}, NotFound),
    ],
)
def test_a_refusal_leaves_no_trace(
    row: dict[str, Any], more: dict[str, Any], refusal: type[Problem]
) -> None:
    taken = batch()
    taken.add_draft(draft(**more), found(**row))
    taken.add_draft(draft(), found())
    refused, posted = taken.outcomes()
    assert type(refused) is refusal
    assert isinstance(posted, PostedMessage)
    assert posted.at.seq == 41
    assert len(taken.entries) == len(taken.columns.messages) == 1
    assert taken.facts() == []


def test_a_retry_in_the_same_batch_is_the_first_message() -> None:
    taken = batch()
    for channel_id in (CHANNEL, CHANNEL, OTHER):
        again = draft(client_message_id="k", channel_id=channel_id)
        taken.add_draft(again, found(channel_id=channel_id))
    first, second, elsewhere = taken.outcomes()
    assert isinstance(first, PostedMessage)
    assert isinstance(second, PostedMessage)
    assert (first.created, second.created) == (True, False)
    assert (first.id, first.body) == (second.id, second.body)
    assert isinstance(elsewhere, ClientMessageIdReused)


def test_one_key_of_two_authors_in_one_batch_is_two_messages() -> None:
    taken = batch()
    taken.add_draft(draft(ADA, client_message_id="1", text="by Ada"), found())
    taken.add_draft(draft(BOB, client_message_id="1", text="by Bob"), found())
    outcomes = [outcome for outcome in taken.outcomes() if isinstance(outcome, PostedMessage)]
    texts = [msgspec.json.decode(outcome.body)["text"] for outcome in outcomes]
    assert texts == ["by Ada", "by Bob"]
    assert [outcome.created for outcome in outcomes] == [True, True]
    assert len(taken.columns.messages) == 2


def test_a_retry_is_answered_with_what_stands_by_now() -> None:
    taken = batch()
    first_id = uuid7()
    row = found(first_id=first_id, first_channel_id=CHANNEL, archived=True)
    taken.add_draft(draft(client_message_id="k", refusal=AttachmentUnusable()), row)
    taken.add_draft(draft(client_message_id="k"), row)
    assert taken.repeated == {first_id: [0, 1]}
    other = batch()
    other.add_draft(draft(id=MessageId(first_id)), found())
    (made,) = other.outcomes()
    assert isinstance(made, PostedMessage)
    taken.recall([MessageRead.model_validate_json(made.body)])
    for outcome in taken.outcomes():
        assert isinstance(outcome, PostedMessage)
        assert (outcome.body, outcome.created) == (made.body, False)
    assert taken.entries == []


def test_streams_are_named_by_their_channel() -> None:
    assert channel_stream(UUID(int=1)) == "channel:00000000-0000-0000-0000-000000000001"
