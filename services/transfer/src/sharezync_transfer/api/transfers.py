"""Transfers: offers, queries and changes of state."""

from typing import Annotated

from fastapi import APIRouter, Header, Query, Response

from sharezync_shared.asgi.changes import answer
from sharezync_shared.costly import Costly
from sharezync_shared.pages import Page, page_of
from sharezync_shared.problems import (
    Forbidden,
    Invalid,
    NotFound,
    Problem,
    RateLimited,
    Unauthenticated,
    Unavailable,
    problems,
)
from sharezync_shared.ranges import Ranges
from sharezync_shared.users_projection import UserNotFound
from sharezync_transfer import errors, schemas
from sharezync_transfer.access import Role
from sharezync_transfer.api.dependencies import (
    CallingActor,
    Context,
    Cursor,
    KnownActor,
    Limit,
    PresentedActor,
    ranges_of,
)
from sharezync_transfer.models import TransferId
from sharezync_transfer.states import State
from sharezync_transfer.usecases import (
    commands,
    completing,
    offering,
    progress,
    queries,
    statistics,
)
from sharezync_transfer.usecases.capabilities import Participation
from sharezync_transfer.usecases.context import TransferServiceContext
from sharezync_transfer.usecases.statistics import StatsRead

router = APIRouter(prefix="/v1/transfers", tags=["transfers"])

_NOBODYS: tuple[type[Problem], ...] = (Unauthenticated, NotFound, Invalid)


@router.post(
    "",
    status_code=201,
    summary="Create a transfer",
    responses={
        200: {
            "model": schemas.TransferOpened,
            "description": "The transfer was created before with the same key",
        },
        **problems(
            Unauthenticated,
            UserNotFound,
            Invalid,
            errors.TransferTooLarge,
            errors.QuotaExceeded,
            errors.TooManyFiles,
            errors.TooManyTransfers,
            errors.TooManyOffers,
            Unavailable,
        ),
    },
)
async def create_transfer(
    body: schemas.TransferOffer,
    actor: KnownActor,
    context: Context,
    response: Response,
    idempotency_key: Annotated[schemas.Key | None, Header()] = None,
) -> schemas.TransferOpened:
    """Offers files to users. Each recipient receives `incoming_transfer`.

    Names can be paths in a folder. They are cleaned; afterwards no two may be equal regardless of
    case, and none may be a folder of another. Depending on the offer policy of a recipient's
    device, the offer is accepted or rejected at once.

    The sender can upload chunks immediately: they are stored until a recipient accepts. Each
    recipient accepts, rejects and completes independently. Repeating the request with the same
    `client_transfer_id` or `Idempotency-Key` returns the first transfer.
    """
    published = await offering.offer(context, actor, body, idempotency_key)
    location = f"/v1/transfers/{published.outcome.transfer.id}"
    return opened(context, answer(response, published, location=location))


@router.get("", summary="List your transfers", responses=problems(Unauthenticated, Invalid))
async def list_transfers(
    actor: CallingActor,
    context: Context,
    *,
    role: Annotated[
        Role | None, Query(description="Only transfers that you send or receive")
    ] = None,
    state: Annotated[State | None, Query(description="Only transfers in this state")] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[schemas.TransferRead]:
    """Returns sent and received transfers, newest first. A transfer to yourself counts as sent."""
    found = await queries.page(
        context.work, user_id=actor.user_id, role=role, state=state, before=cursor, limit=limit + 1
    )
    return page_of(found, limit, lambda transfer: transfer.id)


@router.get(
    "/stats",
    summary="Get transfer statistics",
    responses=problems(Unauthenticated, Invalid, RateLimited, Unavailable),
)
async def get_transfer_stats(
    actor: CallingActor,
    costly: Costly,
    days: Annotated[int, Query(ge=1, le=366, description="Number of days, including today")] = 30,
) -> StatsRead:
    """Returns what you have sent and received: in total, by day, and by user."""
    return await statistics.of(costly, user_id=actor.user_id, days=days)


@router.get("/{transfer_id}", summary="Get a transfer", responses=problems(*_NOBODYS))
async def get_transfer(
    transfer_id: TransferId, actor: CallingActor, context: Context
) -> schemas.TransferRead:
    """Only sender and recipients can get a transfer. Recipients don't see each other."""
    return await queries.get(context.work, actor, transfer_id)


@router.get(
    "/{transfer_id}/missing",
    summary="List missing chunks",
    responses=problems(*_NOBODYS, Unavailable),
)
async def list_missing_chunks(
    transfer_id: TransferId, actor: PresentedActor, context: Context
) -> schemas.MissingRead:
    """Returns ranges of chunks: to the sender those that aren't stored, to a recipient those that
    they have accepted but not confirmed.
    """
    return await queries.missing(context, actor, transfer_id)


@router.post(
    "/{transfer_id}/accept",
    summary="Accept a transfer",
    responses=problems(
        *_NOBODYS, Forbidden, errors.OtherDevice, errors.AcceptedOtherwise, errors.TransferOver
    ),
)
async def accept_transfer(
    transfer_id: TransferId,
    actor: CallingActor,
    context: Context,
    response: Response,
    body: schemas.Acceptance | None = None,
) -> schemas.TransferTaken:
    """Accepts all or some files as a recipient. `token` can be used to download them over HTTP."""
    files = body.files if body else None
    published = await commands.accept(context.work, actor, transfer_id, files)
    return taken(context, answer(response, published))


@router.post(
    "/{transfer_id}/token",
    summary="Create a transfer token",
    responses=problems(*_NOBODYS, errors.NotInThisState, errors.TransferOver),
)
async def create_transfer_token(
    transfer_id: TransferId, actor: CallingActor, context: Context
) -> schemas.TokenRead:
    """Returns a capability token for your role in the transfer. It expires with the transfer.

    Sent as `Authorization: Transfer …`, it replaces the access token: for the sender to upload
    chunks, list missing ones and complete the transfer; for a recipient who has accepted to
    download files, list missing chunks and confirm received ones.
    """
    return await context.capabilities.ask(actor, transfer_id)


@router.post(
    "/{transfer_id}/reject",
    summary="Reject a transfer",
    responses=problems(*_NOBODYS, Forbidden, errors.NotInThisState, errors.TransferOver),
)
async def reject_transfer(
    transfer_id: TransferId, actor: CallingActor, context: Context, response: Response
) -> schemas.TransferRead:
    """Rejects an offer as a recipient who hasn't accepted it."""
    return answer(response, await commands.act(context.work, actor, transfer_id, "reject"))


@router.post(
    "/{transfer_id}/pause",
    summary="Pause a transfer",
    responses=problems(*_NOBODYS, errors.NotInThisState, errors.TransferOver),
)
async def pause_transfer(
    transfer_id: TransferId, actor: CallingActor, context: Context, response: Response
) -> schemas.TransferRead:
    """A recipient pauses for themselves, the sender for all recipients who have accepted."""
    return answer(response, await commands.act(context.work, actor, transfer_id, "pause"))


@router.post(
    "/{transfer_id}/resume",
    summary="Resume a transfer",
    responses=problems(*_NOBODYS, Forbidden, errors.NotInThisState, errors.TransferOver),
)
async def resume_transfer(
    transfer_id: TransferId,
    actor: CallingActor,
    context: Context,
    response: Response,
    body: schemas.ResumeRequest | None = None,
) -> schemas.TransferRead:
    """Resumes after a pause or on another device.

    With `have`, a recipient lists the chunks that this device has; all others are sent again.
    """
    have = ranges_of(body.have) if body and body.have is not None else None
    published = await commands.resume(context.work, actor, transfer_id, have)
    return answer(response, published).transfer


@router.post(
    "/{transfer_id}/cancel",
    summary="Cancel a transfer",
    responses=problems(*_NOBODYS, errors.TransferOver),
)
async def cancel_transfer(
    transfer_id: TransferId, actor: CallingActor, context: Context, response: Response
) -> schemas.TransferRead:
    """A recipient cancels for themselves, the sender for all recipients who haven't completed."""
    return answer(response, await commands.act(context.work, actor, transfer_id, "cancel"))


@router.post(
    "/{transfer_id}/complete",
    summary="Complete a transfer",
    responses=problems(
        *_NOBODYS,
        Forbidden,
        errors.UploadIncomplete,
        errors.DigestMismatch,
        errors.TransferOver,
        Unavailable,
    ),
)
async def complete_transfer(
    transfer_id: TransferId,
    actor: PresentedActor,
    context: Context,
    response: Response,
) -> schemas.TransferRead:
    """Verifies all files after the sender has uploaded every chunk.

    For each recipient the transfer is completed once they have confirmed all chunks they accepted.
    """
    return answer(response, await completing.complete(context, actor, transfer_id))


@router.post(
    "/{transfer_id}/receipts",
    summary="Confirm received chunks",
    responses=problems(*_NOBODYS, Forbidden, errors.NotInThisState, errors.TransferOver),
)
async def confirm_chunks(
    transfer_id: TransferId, body: schemas.Confirmation, actor: PresentedActor, context: Context
) -> schemas.RecipientRead:
    """Confirms chunks of a file that you have received, as `chunk_ack` does on a WebSocket.

    Chunks can be confirmed in any order and repeatedly. Once you have confirmed everything that you
    accepted and the files are verified, the transfer is completed for you.
    """
    ranges = Ranges(body.ranges)
    return await progress.confirm(context, actor, transfer_id, file=body.file, ranges=ranges)


def opened(context: TransferServiceContext, found: Participation) -> schemas.TransferOpened:
    """Return a transfer as its sender is answered who has just offered it."""
    return schemas.TransferOpened(
        **found.transfer.model_dump(),
        token=context.capabilities.to(found.actor.user_id, "sender", found.transfer),
        window_bytes=context.settings.transfer_window_bytes,
    )


def taken(context: TransferServiceContext, found: Participation) -> schemas.TransferTaken:
    """Return a transfer as a recipient is answered who has just accepted it."""
    token = context.capabilities.to(found.actor.user_id, "recipient", found.transfer)
    return schemas.TransferTaken(**found.transfer.model_dump(), token=token)
