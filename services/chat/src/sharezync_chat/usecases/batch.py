"""One batch of messages: who may post, what it becomes, what is written. No I/O.

`posting.py` is the shell around it. The rules of a single message are all in
`MessageBatch.add_draft`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import asyncpg

from sharezync_chat.errors import ChannelArchived, ClientMessageIdReused, NotMember
from sharezync_chat.models import ChannelId, MessageId, MessageRow, channel_stream, inbox_stream
from sharezync_chat.reach import refusal_of
from sharezync_chat.schemas import AttachmentRead, MessageRead, OwnMemberUpdated, UserRead
from sharezync_chat.usecases.mentions import NOBODY, MentionedNames
from sharezync_shared.events.contracts import MessageSent
from sharezync_shared.events.outbox import OutboxRow
from sharezync_shared.ids import UserId
from sharezync_shared.problems import Invalid, NotFound, Problem
from sharezync_shared.streams.frames import Control
from sharezync_shared.streams.log import Entry, StreamPosition
from sharezync_shared.tracing.context import TraceContext, current_trace
from sharezync_shared.work import to_json

Row = asyncpg.Record | Mapping[str, Any]
"""What `posting_rows.look` found about a draft."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageDraft:
    """A message that somebody wants to post.

    `refusal` is why it can't be posted as far as is known without the database, such as a file
    that isn't the author's; it counts only if this is no retry of what was posted before.
    """

    id: MessageId
    channel_id: ChannelId
    author_id: UserId
    text: str = ""
    attachments: tuple[AttachmentRead, ...] = ()
    reply_to: MessageId | None = None
    client_message_id: str | None = None
    calls: MentionedNames = NOBODY
    refusal: Problem | None = None
    trace: TraceContext | None = field(default_factory=current_trace.get)
    """What posts it; in a batch that is not what is current."""

    @property
    def traceparent(self) -> str | None:
        return self.trace and self.trace.traceparent


@dataclass(frozen=True, slots=True)
class PostedMessage:
    """A message that stands. `body` is its document, finished JSON.

    `created` is False for a retry: then it is the first message, as it is now.
    """

    id: UUID
    at: StreamPosition
    body: bytes
    created: bool


class MentionRow(NamedTuple):
    """What is written of a call: columns of `mentions`."""

    channel_id: UUID
    target_id: UUID
    number: int
    author_id: UUID


class AttachmentRow(NamedTuple):
    """What is written of a file at a message: columns of `attachments`."""

    message_id: UUID
    position: int
    file_id: UUID
    name: str
    size_bytes: int
    mime: str


@dataclass(slots=True)
class _Columns:
    """What goes into the database, column by column."""

    messages: list[MessageRow] = field(default_factory=list)
    attachments: list[AttachmentRow] = field(default_factory=list)
    mentions: list[MentionRow] = field(default_factory=list)
    message_counts: dict[UUID, int] = field(default_factory=dict)
    has_read: dict[tuple[UUID, UUID], tuple[int, int]] = field(default_factory=dict)
    agreeing: set[tuple[UUID, UUID]] = field(default_factory=set)
    """Members who do something in their channel for the first time."""


class MessageBatch:
    """Takes drafts in order, with what the database says about each, and becomes what is written.

    `heads` are the last `seq`s of their streams, of the moment that the drafts are decided by.
    """

    def __init__(self, heads: Mapping[str, int], epoch: str, now: datetime) -> None:
        self.heads = heads
        self.epoch = epoch
        self.now = now
        self.entries: list[Entry] = []
        self.columns = _Columns()
        self.repeated: dict[UUID, list[int]] = {}
        """Messages that retries ask for again: who asked, by place in the batch."""
        self._last = dict(heads)
        self._facts: list[tuple[MessageSent, TraceContext | None]] = []
        self._outcomes: list[PostedMessage | Problem | None] = []
        self._by_key: dict[tuple[UUID, str], PostedMessage] = {}

    def add_draft(self, draft: MessageDraft, row: Row, called: Sequence[UUID] = ()) -> None:
        """Decide about one draft. `row` is what `posting_rows.look` found, with the heads.

        `called` are the members whom its text calls by name.
        """
        try:
            self._outcomes.append(self._decide(draft, row, called))
        except Problem as refusal:
            self._outcomes.append(refusal)

    def recall(self, messages: Iterable[MessageRead]) -> None:
        """Answer the retries with the messages that `repeated` asked for."""
        for message in messages:
            position = StreamPosition(
                channel_stream(message.channel_id), message.epoch, message.seq
            )
            for place in self.repeated[message.id]:
                self._outcomes[place] = PostedMessage(
                    message.id, position, _json(message), created=False
                )

    def facts(self) -> list[OutboxRow]:
        """Return the facts for other services."""
        return [OutboxRow.of_fact(fact, self.now, trace=trace) for fact, trace in self._facts]

    def outcomes(self) -> list[PostedMessage | BaseException]:
        """Return what became of each draft, in order."""
        # A message that a retry found, and that was purged with its channel before it was read.
        return [NotFound() if outcome is None else outcome for outcome in self._outcomes]

    def _decide(
        self, draft: MessageDraft, row: Row, called: Sequence[UUID]
    ) -> PostedMessage | None:
        if row["channel_id"] is None:
            raise NotFound
        if row["role"] is None:
            raise NotMember if row["kind"] == "public" else NotFound
        if row["first_id"] is not None:
            self._repeat(draft, row)
            return None
        key = (draft.author_id, draft.client_message_id)
        if key in self._by_key:  # twice in one batch
            return self._repeat_posted(draft, self._by_key[key])
        if row["archived"]:
            raise ChannelArchived
        unsaid = refusal_of(row["peer_blocked"], row["peer_reachable"])
        if unsaid is not None:
            raise unsaid
        if draft.refusal is not None:
            raise draft.refusal
        if draft.reply_to is not None and row["reply_id"] is None:
            message = "The message doesn't exist in this channel"
            raise Invalid(errors=[{"field": "body.reply_to", "message": message}])
        posted = self._post(draft, row, called)
        if draft.client_message_id is not None:
            self._by_key[draft.author_id, draft.client_message_id] = posted
        return posted

    def _repeat(self, draft: MessageDraft, row: Row) -> None:
        if row["first_channel_id"] != draft.channel_id:
            raise ClientMessageIdReused
        self.repeated.setdefault(row["first_id"], []).append(len(self._outcomes))

    def _repeat_posted(self, draft: MessageDraft, posted: PostedMessage) -> PostedMessage:
        if posted.at.stream != channel_stream(draft.channel_id):
            raise ClientMessageIdReused
        return PostedMessage(posted.id, posted.at, posted.body, created=False)

    def _post(self, draft: MessageDraft, row: Row, called: Sequence[UUID]) -> PostedMessage:
        stream = channel_stream(draft.channel_id)
        seq = self._last[stream] = self._last[stream] + 1
        counts = self.columns.message_counts
        number = counts.get(draft.channel_id, row["message_count"]) + 1
        counts[draft.channel_id] = number
        # Posting reads: unread are the messages after one's own latest.
        place = (draft.channel_id, draft.author_id)
        self.columns.has_read[place] = (seq, number)
        message = MessageRow(
            id=draft.id,
            channel_id=draft.channel_id,
            author_id=draft.author_id,
            text=draft.text,
            reply_to=draft.reply_to,
            mentions=list(called),
            mentions_channel=draft.calls.channel,
            seq=seq,
            number=number,
            epoch=self.epoch,
            client_message_id=draft.client_message_id,
            created_at=self.now,
        )
        body = _json(_document(message, draft, row))
        self.columns.messages.append(message)
        targets = [*called, draft.channel_id] if draft.calls.channel else called
        self.columns.mentions += [
            MentionRow(draft.channel_id, target, number, draft.author_id) for target in targets
        ]
        self.columns.attachments += [
            AttachmentRow(draft.id, position, **dict(each))
            for position, each in enumerate(draft.attachments)
        ]
        self.entries.append(Entry(stream, "message.created", body, traceparent=draft.traceparent))
        if row["inbox_seq"] is not None and place not in self.columns.agreeing:
            self.columns.agreeing.add(place)
            self.entries.append(_agreement(draft, row))
        if draft.attachments:
            # Who keeps files must know what holds on to them; plain messages concern no other
            # service, and a fact for each would cost a tenth or more of the throughput.
            sent = MessageSent(
                message_id=draft.id,
                channel_id=draft.channel_id,
                author_id=draft.author_id,
                seq=seq,
                attachments=tuple(each.file_id for each in draft.attachments),
            )
            self._facts.append((sent, draft.trace))
        return PostedMessage(draft.id, StreamPosition(stream, self.epoch, seq), body, created=True)


def _document(message: MessageRow, draft: MessageDraft, row: Row) -> MessageRead:
    author = UserRead.model_construct(
        id=draft.author_id, username=row["username"], display_name=row["display_name"]
    )
    # Made of checked values: validating them again would cost more than all the rest.
    return MessageRead.model_construct(
        **message._asdict(),
        author=author,
        attachments=list(draft.attachments),
        reactions=[],
        edited_at=None,
        edited_by=None,
        deleted=False,
    )


def _agreement(draft: MessageDraft, row: Row) -> Entry:
    """Return the event of an author's first message, to their own devices. See `agree`."""
    own = OwnMemberUpdated(
        channel_id=draft.channel_id,
        user=UserRead(
            id=draft.author_id, username=row["username"], display_name=row["display_name"]
        ),
        role=row["role"],
        joined_at=row["joined_at"],
        muted=row["muted"],
        hidden_up_to=row["hidden_up_to"],
        accepted=True,
    )
    control = Control(recheck=[str(draft.author_id)])
    stream = inbox_stream(draft.author_id)
    return Entry(stream, "member.updated", to_json(own), control, draft.traceparent)


def _json(message: MessageRead) -> bytes:
    return MessageRead.__pydantic_serializer__.to_json(message)
