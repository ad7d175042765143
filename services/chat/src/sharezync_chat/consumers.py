"""What chat does when other services say that something happened.

Each function runs in a unit in which the event was claimed: a repeated delivery is not even seen
here. What each says about repeating is for dead letters that are replayed after the claim expired.
"""

from sharezync_chat.models import FileId
from sharezync_chat.usecases import bans, contacts, messages, people, seats, traces
from sharezync_shared.db.work import UnitOfWork
from sharezync_shared.events.contracts.auth import (
    UserBlocked,
    UserDeleted,
    UserRegistered,
    UserUnblocked,
    UserUpdated,
)
from sharezync_shared.events.contracts.storage import FileDeleted
from sharezync_shared.ids import UserId


async def on_user_registered(unit: UnitOfWork, event: UserRegistered) -> None:
    """Learn a new user's names. Repeatable: older news than what is known changes nothing."""
    await people.learn(
        unit,
        UserId(event.user_id),
        username=event.username,
        display_name=event.display_name,
        at=unit.caused_at,
    )


async def on_user_updated(unit: UnitOfWork, event: UserUpdated) -> None:
    """Take over changed names. Repeatable: older news than what is known changes nothing."""
    await people.learn(
        unit,
        UserId(event.user_id),
        username=event.username,
        display_name=event.display_name,
        who_may_add=event.who_may_add,
        at=unit.caused_at,
    )


async def on_user_blocked(unit: UnitOfWork, event: UserBlocked) -> None:
    """Note a block. Repeatable: older news than what is known changes nothing."""
    await contacts.BLOCKS.apply_block(
        unit, event.user_id, event.blocked_id, version=event.version, active=True
    )


async def on_user_unblocked(unit: UnitOfWork, event: UserUnblocked) -> None:
    """Note that a block was taken back. Repeatable, as above."""
    await contacts.BLOCKS.apply_block(
        unit, event.user_id, event.blocked_id, version=event.version, active=False
    )


async def on_user_deleted(unit: UnitOfWork, event: UserDeleted) -> None:
    """Forget who somebody was and end their memberships, each in the order of its stream.

    What they wrote stays, as written by a deleted user. Repeatable: nothing is left to end.
    """
    user_id = UserId(event.user_id)
    gone = await people.erase(unit, user_id, unit.caused_at)
    await contacts.BLOCKS.delete_user(unit, user_id)
    await bans.forget(unit, user_id)
    await traces.erase(unit, user_id)
    await seats.leave_everything(unit, user_id, gone)


async def on_file_deleted(unit: UnitOfWork, event: FileDeleted) -> None:
    """Take a file off the messages it was attached to. Repeatable: it is on none any more."""
    await messages.detach(unit, FileId(event.file_id))
