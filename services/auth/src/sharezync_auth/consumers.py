"""What auth does when other services say that something happened.

What each says about repeating is for dead letters that are replayed after their claim expired.
"""

from collections.abc import Mapping
from typing import Final

from sharezync_auth.usecases import users
from sharezync_shared.events.contracts import Event, FileDeleted
from sharezync_shared.ids import UserId
from sharezync_shared.work import Consumer, UnitOfWork


async def on_file_deleted(unit: UnitOfWork, event: FileDeleted) -> None:
    """Take a file off the profile of its owner. Repeatable: its id never comes back."""
    await users.forget_avatar(unit, user_id=UserId(event.owner_id), file_id=event.file_id)


CONSUMERS: Final[Mapping[type[Event], Consumer]] = {
    FileDeleted: on_file_deleted,
}
