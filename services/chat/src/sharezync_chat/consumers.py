"""What chat does when other services say that something happened.

Each function runs in a unit in which the event was claimed: a repeated delivery is not even seen
here. What each says about repeating is for dead letters that are replayed after the claim expired.
"""

from collections.abc import Mapping
from typing import Final

from sharezync_chat.models import FileId
from sharezync_chat.usecases import bans, membership_changes, messages, people, traces
from sharezync_shared.events.contracts import Event, FileDeleted, UserDeleted
from sharezync_shared.ids import UserId
from sharezync_shared.work import Consumer, UnitOfWork


async def on_user_deleted(unit: UnitOfWork, event: UserDeleted) -> None:
    """Forget who somebody was and end their memberships, each in the order of its stream.

    What they wrote stays, as written by a deleted user. Repeatable: nothing is left to end.
    """
    user_id = UserId(event.user_id)
    gone = await people.erase(unit, user_id, unit.caused_at)
    await bans.forget(unit, user_id)
    await traces.erase(unit, user_id)
    await membership_changes.leave_everything(unit, user_id, gone)


async def on_file_deleted(unit: UnitOfWork, event: FileDeleted) -> None:
    """Take a file off the messages it was attached to. Repeatable: it is on none any more."""
    await messages.detach(unit, FileId(event.file_id))


CONSUMERS: Final[Mapping[type[Event], Consumer]] = {
    **people.USERS.consumers,
    UserDeleted: on_user_deleted,
    FileDeleted: on_file_deleted,
}
