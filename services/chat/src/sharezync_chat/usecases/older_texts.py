"""Messages and descriptions that are older than the policies of texts, cleaned in the background.

A migration would hold what it changes until it has read all messages, of which there may be
millions. Here each batch holds the heads of its channels, as whoever edits does, and no longer.
There is no event of it: clients see it when they fetch next.
"""

import asyncio
from datetime import timedelta
from typing import Final
from uuid import UUID

from sqlmodel import col, select

from sharezync_chat.models import Channel, Message, MessageEdit, channel_stream
from sharezync_chat.usecases import indexing
from sharezync_shared.background import NEVER
from sharezync_shared.names.older import cleaned_older
from sharezync_shared.names.policies import DESCRIPTION, MESSAGE, Policy
from sharezync_shared.users_projection import is_filled, note_filled
from sharezync_shared.work import UnitOfWork, UnitsOfWork

_NAME: Final = "older-texts"
_BATCH: Final = 500
_PER_TRANSACTION: Final = 25
"""So many are changed while the heads of their channels are held: for a tenth of a second."""
_BETWEEN_BATCHES_SECONDS: Final = 0.05  # room for the others: nobody waits for this
AGAIN_SECONDS: Final = 60.0

# Lines of ASCII with something in them are clean.
_SUSPECT: Final = r"[^ -~\n\t]|^\s+$"
_FIRST: Final = UUID(int=0)

_MESSAGES: Final = """
    SELECT m.id, m.channel_id,
           ARRAY(SELECT m.text WHERE m.text ~ $3 UNION ALL
                 SELECT e.text FROM chat.message_edits AS e
                  WHERE e.message_id = m.id AND e.text ~ $3) AS suspect
      FROM (SELECT id, channel_id, text FROM chat.messages
             WHERE id > $1 ORDER BY id LIMIT $2) AS m ORDER BY m.id
"""
_CHANNELS: Final = """
    SELECT id, id AS channel_id, ARRAY(SELECT description WHERE description ~ $3) AS suspect
      FROM chat.channels WHERE id > $1 ORDER BY id LIMIT $2
"""


async def clean(work: UnitsOfWork) -> timedelta:
    """Clean all that is older, unless that was done; once for the life of the database.

    Returns that it need not be called again. Safe to repeat, and in several replicas at once.
    """
    if await is_filled(work, _NAME):
        return NEVER
    for statement, policy, clean_these in (
        (_CHANNELS, DESCRIPTION, _clean_channels),
        (_MESSAGES, MESSAGE, _clean_messages),
    ):
        after: UUID | None = _FIRST
        while after is not None:
            async with (await work.database.pool()).acquire() as connection:
                rows = await connection.fetch(statement, after, _BATCH, _SUSPECT)
            dirty = [row for row in rows if any(_is_dirty(policy, each) for each in row["suspect"])]
            for first in range(0, len(dirty), _PER_TRANSACTION):
                batch = dirty[first : first + _PER_TRANSACTION]
                async with work.begin() as unit:
                    await unit.lock_streams(*{channel_stream(row["channel_id"]) for row in batch})
                    await clean_these(unit, [row["id"] for row in batch])
            after = rows[-1]["id"] if rows else None
            await asyncio.sleep(_BETWEEN_BATCHES_SECONDS)
    await note_filled(work, _NAME)
    return NEVER


def _is_dirty(policy: Policy, text: str) -> bool:
    return cleaned_older(policy, text) != text


async def _clean_channels(unit: UnitOfWork, ids: list[UUID]) -> None:
    for channel in await unit.session.exec(select(Channel).where(col(Channel.id).in_(ids))):
        channel.description = cleaned_older(DESCRIPTION, channel.description)


async def _clean_messages(unit: UnitOfWork, ids: list[UUID]) -> None:
    for message in await unit.session.exec(select(Message).where(col(Message.id).in_(ids))):
        kept = cleaned_older(MESSAGE, message.text)
        if kept != message.text:
            message.text = kept
            await indexing.reword(unit, message)
    edits = await unit.session.exec(select(MessageEdit).where(col(MessageEdit.message_id).in_(ids)))
    for edit in edits:
        edit.text = cleaned_older(MESSAGE, edit.text)
