"""What transfer does when other services say that something happened.

Each function runs in a unit in which the event was claimed: a repeated delivery is not even seen
here. What each says about repeating is for dead letters that are replayed after the claim expired.
"""

from sharezync_shared.db.work import UnitOfWork
from sharezync_shared.events.contracts.auth import (
    UserBlocked,
    UserDeleted,
    UserRegistered,
    UserUnblocked,
    UserUpdated,
)
from sharezync_shared.ids import UserId
from sharezync_transfer.usecases import contacts, erasing, people


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
    """Forget who somebody was and end what they had under way. Repeatable: nothing is left."""
    await erasing.erase_user(unit, UserId(event.user_id), unit.caused_at)
