"""What auth does when other services say that something happened.

What each says about repeating is for dead letters that are replayed after their claim expired.
"""

from collections.abc import Mapping
from typing import Final

from sharezync_auth.usecases import blocks, users
from sharezync_shared.events.contracts import BlockKept, Event, FileDeleted
from sharezync_shared.ids import UserId
from sharezync_shared.work import Consumer, UnitOfWork


async def on_block_kept(unit: UnitOfWork, event: BlockKept) -> None:
    """Take over a block from before auth kept them. Repeatable: it is there already."""
    await blocks.take_over(
        unit,
        user_id=UserId(event.user_id),
        blocked_id=UserId(event.blocked_id),
        blocked_at=unit.caused_at,
    )


async def on_file_deleted(unit: UnitOfWork, event: FileDeleted) -> None:
    """Take a file off the profile of its owner. Repeatable: its id never comes back."""
    await users.forget_avatar(unit, user_id=UserId(event.owner_id), file_id=event.file_id)


CONSUMERS: Final[Mapping[type[Event], Consumer]] = {
    BlockKept: on_block_kept,
    FileDeleted: on_file_deleted,
}
