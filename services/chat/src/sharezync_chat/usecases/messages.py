"""Messages: posting, reading, editing, deleting, and fetching what is attached to them."""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from sqlalchemy import func
from sqlmodel import col, select

from sharezync_chat import access
from sharezync_chat.errors import AttachmentUnusable
from sharezync_chat.models import (
    Attachment,
    ChannelId,
    FileId,
    Message,
    MessageEdit,
    MessageId,
    channel_stream,
)
from sharezync_chat.schemas import AttachmentRead, EditRead, MessageRead, as_event
from sharezync_chat.usecases import indexing, membership_changes, mentions, pins, reads
from sharezync_chat.usecases.actor import ActingUser
from sharezync_chat.usecases.batch import MessageDraft
from sharezync_shared.contracts.services import Services
from sharezync_shared.costly import CostlyReads
from sharezync_shared.events import contracts as facts
from sharezync_shared.ids import UserId, uuid7
from sharezync_shared.pages import bytes_before
from sharezync_shared.problems import Invalid, NotFound, Problem
from sharezync_shared.sizes import MAX_PAGE_BYTES
from sharezync_shared.streams.log import Entry
from sharezync_shared.streams.published import Published
from sharezync_shared.work import UnitOfWork, to_json

_FORGET_EDITS: Final = """
    DELETE FROM chat.message_edits WHERE message_id = $1 AND version IN (
        SELECT version FROM chat.message_edits WHERE message_id = $1 AND version > 1
         ORDER BY version DESC OFFSET $2)
"""

_EDITS: Final = f"""
    SELECT version, text, written_at, coalesce(written_by, author_id) AS written_by
      FROM (SELECT e.*, m.author_id, {bytes_before("e.text", "e.version DESC")} AS bytes
              FROM chat.message_edits AS e JOIN chat.messages AS m ON m.id = e.message_id
             WHERE e.message_id = $1 AND ($2::int IS NULL OR e.version < $2)) AS e
     WHERE bytes < $3 ORDER BY version DESC
"""  # noqa: S608 - text of ours


async def prepare(
    services: Services,
    *,
    channel_id: ChannelId,
    author_id: UserId,
    text: str = "",
    attachments: Sequence[FileId] = (),
    reply_to: MessageId | None = None,
    client_message_id: str | None = None,
) -> MessageDraft:
    """Return the draft of a message, for `MessageWriter.post`, its files described by storage.

    What is wrong with the files is kept as the draft's refusal: a retry of what was posted before
    needs them no more.
    """
    refusal: Problem | None = None
    described: tuple[AttachmentRead, ...] = ()
    try:
        described = await _describe(services, author_id, attachments) if attachments else ()
    except Problem as problem:
        refusal = problem
    return MessageDraft(
        id=MessageId(uuid7()),
        channel_id=channel_id,
        author_id=author_id,
        text=text,
        attachments=described,
        reply_to=reply_to,
        client_message_id=client_message_id,
        calls=mentions.calls_in(text),
        refusal=refusal,
    )


async def _describe(
    services: Services, author_id: UserId, file_ids: Sequence[FileId]
) -> tuple[AttachmentRead, ...]:
    files = {
        file.id: AttachmentRead(
            file_id=file.id, name=file.name, size_bytes=file.size_bytes, mime=file.mime
        )
        for file in await services.storage.files(file_ids, author_id)
        if file.owner_id == author_id
    }
    unusable = [str(file_id) for file_id in file_ids if file_id not in files]
    if unusable:
        raise AttachmentUnusable(file_ids=unusable)
    return tuple(files[file_id] for file_id in file_ids)


async def edit(actor: ActingUser, message_id: MessageId, text: str) -> Published[MessageRead]:
    """Have a message say something else; what it said before stays in its edit history.

    Of more than it may keep the original stays, and the latest.
    """
    user_id = actor.user_id
    async with actor.work.begin() as unit:
        message = await access.message_to_edit(unit, user_id, message_id)
        read = await reads.message(await unit.raw(), message.id, viewer=user_id)
        if message.text == text:
            return Published(read)
        if not text and not read.attachments:
            raise Invalid(errors=[{"field": "body.text", "message": "Say something"}])
        version = await unit.session.scalar(
            select(func.max(MessageEdit.version)).where(col(MessageEdit.message_id) == message.id)
        )
        connection = await unit.raw()
        await connection.execute(_FORGET_EDITS, message.id, actor.limits.edits_per_message - 2)
        unit.add(
            MessageEdit(
                message_id=message.id,
                version=(version or 0) + 1,
                text=message.text,
                written_at=message.edited_at or message.created_at,
                written_by=message.edited_by or message.author_id,
            )
        )
        message.text, message.edited_at, message.edited_by = text, unit.now, user_id
        await membership_changes.agree(unit, message.channel_id, user_id)
        await _call_anew(unit, message)
        await indexing.reword(unit, message)
        read = await reads.message(await unit.raw(), message.id, viewer=user_id)
        at = await unit.publish_event(message.stream, "message.updated", as_event(read))
        return Published(read, at)


async def delete(actor: ActingUser, message_id: MessageId) -> Published[None]:
    """Take a message's content away; its place stays. Deleting again changes nothing."""
    async with actor.work.begin() as unit:
        message = await access.message_to_delete(unit, actor.user_id, message_id)
        if message.deleted_at is not None:
            return Published(None)
        connection = await unit.raw()
        await connection.execute("DELETE FROM chat.message_edits WHERE message_id = $1", message.id)
        files = await connection.fetch(
            "DELETE FROM chat.attachments WHERE message_id = $1 RETURNING file_id", message.id
        )
        unit.emit(
            facts.MessageDeleted(
                message_id=message.id,
                channel_id=message.channel_id,
                attachments=tuple(row["file_id"] for row in files),
            )
        )
        message.text, message.deleted_at = "", unit.now
        message.mentions, message.mentions_channel = [], False
        await indexing.reword(unit, message)
        await connection.execute("DELETE FROM chat.reactions WHERE message_id = $1", message.id)
        await pins.drop(unit, message, by=actor.user_id)
        read = await reads.message(connection, message.id)
        at = await unit.publish_event(message.stream, "message.deleted", as_event(read))
        return Published(None, at)


async def _call_anew(unit: UnitOfWork, message: Message) -> None:
    """Say whom the changed text calls. It is shown so; nobody's count changes (`Mention`)."""
    calls = mentions.calls_in(message.text)
    called = await mentions.resolve(await unit.raw(), [(ChannelId(message.channel_id), calls)])
    message.mentions, message.mentions_channel = called.get(0, []), calls.channel


async def get(actor: ActingUser, message_id: MessageId) -> MessageRead:
    """Return a message to a member of its channel; of a deleted one, what is left. Or NotFound."""
    async with actor.work.read() as unit:
        message = await access.message_to_read(unit, actor.user_id, message_id)
        return await reads.message(await unit.raw(), message.id, viewer=actor.user_id)


async def replies(
    actor: ActingUser, message_id: MessageId, *, after: UUID | None, limit: int
) -> Sequence[MessageRead]:
    """List the answers to a message, in the order they were given, those after `after`.

    Deleted ones are listed as what is left of them. Raises NotFound.
    """
    async with actor.work.read() as unit:
        message = await access.message_to_read(unit, actor.user_id, message_id)
        return await reads.message_page(
            await unit.raw(),
            "m.reply_to = $1 AND ($2::uuid IS NULL OR m.id > $2)",
            "m.id",
            message.id,
            after,
            limit=limit,
            viewer=actor.user_id,
        )


async def edits(
    actor: ActingUser, message_id: MessageId, *, before: int | None
) -> Sequence[EditRead]:
    """Return what a message said before, latest first: the versions before `before`.

    No more are read than a page holds, and one.
    """
    async with actor.work.read() as unit:
        message = await access.message_to_read(unit, actor.user_id, message_id)
        connection = await unit.raw()
        rows = await connection.fetch(_EDITS, message.id, before, MAX_PAGE_BYTES)
        return [EditRead(**row) for row in rows]


async def by_author(
    costly: CostlyReads,
    user_id: UserId,
    author_id: UserId,
    channel_id: ChannelId | None,
    *,
    before: UUID | None,
    limit: int,
) -> Sequence[MessageRead]:
    """List what somebody wrote in channels that the caller is in, newest first.

    Raises as `CostlyReads.read`: who wrote a great deal elsewhere is read through for it.
    """
    async with costly.read(user_id) as unit:
        return await reads.message_page(
            await unit.raw(),
            "m.author_id = $2 AND m.deleted_at IS NULL "
            "AND ($3::uuid IS NULL OR m.channel_id = $3) AND ($4::uuid IS NULL OR m.id < $4) "
            "AND EXISTS (SELECT FROM chat.members AS i "
            "WHERE i.channel_id = m.channel_id AND i.user_id = $1)",
            "m.id DESC",
            user_id,
            author_id,
            channel_id,
            before,
            limit=limit,
            viewer=user_id,
        )


async def attachment_url(actor: ActingUser, message_id: MessageId, file_id: FileId) -> str:
    """Return where a member may fetch an attached file, for a short time from now.

    Raises NotFound, also for a file that storage no longer has.
    """
    async with actor.work.read() as unit:
        message = await access.message_to_read(unit, actor.user_id, message_id)
        attached = await unit.session.exec(
            select(Attachment.file_id).where(
                Attachment.message_id == message.id, Attachment.file_id == file_id
            )
        )
        if attached.first() is None:
            raise NotFound
    seconds = actor.limits.attachment_url_seconds
    return await actor.services.storage.file_url(file_id, actor.user_id, seconds)


async def detach(unit: UnitOfWork, file_id: FileId) -> None:
    """Remove a deleted file from every message, and publish that. Safe to repeat."""
    attached = await unit.session.exec(
        select(Message.channel_id)
        .join(Attachment, col(Attachment.message_id) == Message.id)
        .where(Attachment.file_id == file_id)
    )
    await unit.lock_streams(*(channel_stream(channel_id) for channel_id in set(attached.all())))
    connection = await unit.raw()
    rows = await connection.fetch(
        "DELETE FROM chat.attachments WHERE file_id = $1 RETURNING message_id", file_id
    )
    ids = [row["message_id"] for row in rows]
    changed = await reads.messages(connection, "WHERE m.id = ANY($1::uuid[]) ORDER BY m.id", ids)
    await unit.publish_events(
        [
            Entry(channel_stream(message.channel_id), "message.updated", to_json(as_event(message)))
            for message in changed
        ]
    )
