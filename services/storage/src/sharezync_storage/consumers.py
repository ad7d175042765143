"""What storage does when others say that something happened."""

from collections.abc import Mapping
from typing import Final

from sharezync_shared.db.work import Unit
from sharezync_shared.events.contracts import Event
from sharezync_shared.events.contracts.auth import UserDeleted
from sharezync_shared.ids import UserId
from sharezync_shared.service import Consumer
from sharezync_storage.usecases.erasing import erase_user


async def on_user_deleted(unit: Unit, event: UserDeleted) -> None:
    """Erase what is kept of somebody. Safe to repeat: there is nothing left the second time."""
    await erase_user(unit, UserId(event.user_id))


CONSUMERS: Final[Mapping[type[Event], Consumer]] = {UserDeleted: on_user_deleted}
