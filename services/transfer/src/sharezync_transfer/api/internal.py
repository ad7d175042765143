"""Routes for other services: joining a transfer, reporting its progress, and acquaintances."""

from typing import Annotated

from fastapi import APIRouter, Depends

from sharezync_shared.calls.serving import serve
from sharezync_shared.contracts import transfer
from sharezync_shared.contracts.acquaintances import (
    GET_ACQUAINTANCE,
    AcquaintanceAsked,
    AcquaintanceRead,
)
from sharezync_shared.problems import Forbidden, Invalid
from sharezync_transfer.access import Actor
from sharezync_transfer.api.dependencies import Context, ranges_of
from sharezync_transfer.models import TransferId
from sharezync_transfer.usecases import acquaintances, progress, queries

router = APIRouter(tags=["internal"])


@serve(router, transfer.ATTACH, Invalid, summary="Join a transfer")
async def join_transfer(
    transfer_id: TransferId,
    body: transfer.Attach,
    context: Context,
) -> transfer.ParticipationRead:
    """Returns the role of the user in the transfer and the uploads of its files; 404 to others.

    An invalid or expired `token` is refused with 403, since 401 is about the token of the gateway.
    To its client the gateway answers 401 `unauthenticated`.
    """
    if body.user_id is not None:
        actor = Actor(body.user_id, body.device_id)
    else:
        actor = await context.capabilities.admit(body.token or "", transfer_id)
    found = await queries.participation(context.work, actor, transfer_id)
    return found.read(context.settings.transfer_window_bytes)


@serve(
    router,
    transfer.REPORT_PROGRESS,
    Forbidden,
    Invalid,
    summary="Report the progress of a transfer",
)
async def report_transfer_progress(
    transfer_id: TransferId, body: transfer.Report, context: Context
) -> transfer.Standing:
    """Sender and recipients receive `progress_update`, at most ten times a second.

    Safe to repeat. A recipient who has everything completes once the files are verified.
    """
    actor, received = Actor(body.user_id, body.device_id), ranges_of(body.received)
    return await progress.report(context, actor, transfer_id, stored=body.stored, received=received)


@serve(
    router,
    GET_ACQUAINTANCE,
    Invalid,
    summary="Check whether a user is acquainted with another",
)
async def check_acquaintance(
    asked: Annotated[AcquaintanceAsked, Depends()], context: Context
) -> AcquaintanceRead:
    """True if `other_id` has accepted a transfer of `user_id`, whatever its outcome.

    An offer that wasn't accepted doesn't count: offering files must not disclose devices.
    """
    return AcquaintanceRead(await acquaintances.exists(context.work, asked.user_id, asked.other_id))
