"""Whom people have blocked, and who may add them, as auth tells it."""

from contextlib import AbstractAsyncContextManager
from typing import Final

from sharezync_chat.models import SCHEMA
from sharezync_chat.usecases import people
from sharezync_shared.blocks import Blocks
from sharezync_shared.contracts.auth import AuthClient, ContactRules
from sharezync_shared.db.work import UnitOfWork, UnitsOfWork
from sharezync_shared.ids import UserId

BLOCKS: Final = Blocks(SCHEMA)


def filling(work: UnitsOfWork, auth: AuthClient) -> AbstractAsyncContextManager[None]:
    """Fetch what was said before chat listened, in the background of the block."""

    async def take(unit: UnitOfWork, rules: ContactRules) -> None:
        await people.learn(
            unit,
            UserId(rules.user_id),
            username=rules.username,
            display_name=rules.display_name,
            who_may_add=rules.who_may_add,
            at=unit.caused_at,
        )

    return BLOCKS.filling(work, auth, take)
