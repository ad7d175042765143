"""What routes are given: the parts of transfer, the caller, and inputs that many of them read."""

from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Query, Request

from sharezync_shared.contracts.services import Services
from sharezync_shared.ranges import Pair, Ranges
from sharezync_shared.tokens import Caller
from sharezync_shared.work import UnitsOfWork
from sharezync_transfer.access import Actor
from sharezync_transfer.settings import TransferSettings
from sharezync_transfer.usecases.capabilities import CapabilityIssuer
from sharezync_transfer.usecases.progress_broadcast import ProgressBroadcast
from sharezync_transfer.usecases.users import USERS


@dataclass(frozen=True, slots=True)
class TransferServiceContext:
    """What transfer is made of."""

    work: UnitsOfWork
    settings: TransferSettings
    services: Services
    capabilities: CapabilityIssuer
    progress: ProgressBroadcast


async def _context(request: Request) -> TransferServiceContext:
    context: TransferServiceContext = request.app.state.context
    return context


Context = Annotated[TransferServiceContext, Depends(_context)]


async def _actor(caller: Caller) -> Actor:
    return Actor(caller.user_id, caller.device_id)


async def _known_actor(caller: Caller, context: Context) -> Actor:
    await USERS.require_caller(context.work, context.services.auth, caller.user_id)
    return await _actor(caller)


CallingActor = Annotated[Actor, Depends(_actor)]
"""The caller, on the device that their login named."""

KnownActor = Annotated[Actor, Depends(_known_actor)]
"""The same, whose names transfer knows: for routes that make them the sender of something."""


Limit = Annotated[int, Query(ge=1, le=100, description="Maximum number of items")]
Cursor = Annotated[UUID | None, Query(description="`next` of the previous page")]


def ranges_of(found: dict[int, list[Pair]]) -> dict[int, Ranges]:
    """Return checked input as sets."""
    return {index: Ranges(pairs) for index, pairs in found.items()}
