"""What transfer does when other services say that something happened.

What each says about repeating is for dead letters that are replayed after their claim expired.
"""

from collections.abc import Mapping
from typing import Final

from sharezync_shared.events.contracts import Event, UserDeleted
from sharezync_shared.ids import UserId
from sharezync_shared.work import Consumer, UnitOfWork
from sharezync_transfer.models import USERS
from sharezync_transfer.usecases import erasing


async def on_user_deleted(unit: UnitOfWork, event: UserDeleted) -> None:
    """Forget who somebody was and end what they had under way. Repeatable: nothing is left."""
    await erasing.erase_user(unit, UserId(event.user_id), unit.caused_at)


CONSUMERS: Final[Mapping[type[Event], Consumer]] = {
    **USERS.consumers,
    UserDeleted: on_user_deleted,
}
