"""Whom people have blocked, as auth tells it."""

from contextlib import AbstractAsyncContextManager
from typing import Final
from uuid import UUID

import httpx

from sharezync_shared.blocks import Blocks, ContactRules
from sharezync_shared.db.work import Unit, Work
from sharezync_shared.ids import UserId
from sharezync_transfer.models import SCHEMA, User
from sharezync_transfer.usecases import people

BLOCKS: Final = Blocks(SCHEMA)


async def learn_block(
    unit: Unit, user_id: UUID, blocked_id: UUID, *, version: int, active: bool
) -> None:
    """Take over that a block came or was taken back, unless one of the two is gone by now."""
    for each in (user_id, blocked_id):
        user = await unit.get(User, each)
        if user is not None and user.deleted:
            return
    await BLOCKS.learn(unit, user_id, blocked_id, version=version, active=active)


def filling(work: Work, auth: httpx.AsyncClient) -> AbstractAsyncContextManager[None]:
    """Fetch what was said before transfer listened, in the background of the block."""

    async def take(unit: Unit, rules: ContactRules) -> None:
        await people.learn(
            unit,
            UserId(rules.user_id),
            username=rules.username,
            display_name=rules.display_name,
            at=unit.caused_at,
        )

    return BLOCKS.filling(work, auth, take)
