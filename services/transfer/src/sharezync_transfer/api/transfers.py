"""Transfers: offered, looked at, acted upon."""

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Header, Query, Response

from sharezync_shared.db.costly import Costly
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
from sharezync_transfer.access import Role
from sharezync_transfer.api.bodies import Acceptance, Key, Resumption, TransferOffer
from sharezync_transfer.api.common import (
    CallingActor,
    Cursor,
    GrantsPart,
    KnownActor,
    Limit,
    Page,
    PeersPart,
    SettingsPart,
    WorkPart,
    answer,
    page_of,
    ranges_of,
)
from sharezync_transfer.api.presented import PresentedActor
from sharezync_transfer.life import State
from sharezync_transfer.models import TransferId
from sharezync_transfer.problems import (
    AcceptedOtherwise,
    DigestMismatch,
    NotInThisState,
    OtherDevice,
    QuotaExceeded,
    TooManyFiles,
    TooManyOffers,
    TooManyTransfers,
    TransferOver,
    TransferTooLarge,
    UploadIncomplete,
)
from sharezync_transfer.usecases import acting, completing, looking, offering, statistics
from sharezync_transfer.usecases.people import UserNotFound
from sharezync_transfer.usecases.receptions import Addressee
from sharezync_transfer.usecases.wire import (
    MissingRead,
    StatsRead,
    TokenRead,
    TransferOpened,
    TransferRead,
    TransferTaken,
)

router = APIRouter(prefix="/v1/transfers", tags=["transfers"])

_NOBODYS: tuple[type[Problem], ...] = (Unauthenticated, NotFound, Invalid)


@router.post(
    "",
    status_code=201,
    summary="Offer files to people",
    responses={
        200: {"model": TransferOpened, "description": "It was offered before: this is it"},
        **problems(
            Unauthenticated,
            UserNotFound,
            Invalid,
            TransferTooLarge,
            QuotaExceeded,
            TooManyFiles,
            TooManyTransfers,
            TooManyOffers,
            Unavailable,
        ),
    },
)
async def offer_transfer(
    body: TransferOffer,
    actor: KnownActor,
    work: WorkPart,
    peers: PeersPart,
    settings: SettingsPart,
    grants: GrantsPart,
    response: Response,
    idempotency_key: Annotated[Key | None, Header()] = None,
) -> TransferOpened:
    """Offer files; each recipient hears `incoming_transfer`.

    Names may be paths below a folder; they are cleaned, and no two may then be the same but for
    case, nor one a folder of another. A recipient whose device takes what acquaintances send has
    accepted at once; one whose chosen device takes nothing has rejected.

    The sender may send chunks at once: they are stored until somebody accepts. Each recipient
    accepts, rejects and completes alone. A retry with the same `client_transfer_id`, or the same
    `Idempotency-Key`, gets the first offer.
    """
    told = await offering.offer(
        work,
        peers,
        settings,
        actor=actor,
        to=[Addressee(each.user_id, each.device_id) for each in body.recipients],
        files=[file.offered() for file in body.files],
        chunk_size_bytes=body.chunk_size,
        note=body.note,
        expires_in=None if body.expires_in_s is None else timedelta(seconds=body.expires_in_s),
        client_transfer_id=body.client_transfer_id or idempotency_key,
    )
    response.status_code = 201 if told.created else 200
    read = answer(response, told).transfer
    response.headers["Location"] = f"/v1/transfers/{read.id}"
    token = grants.to(actor.user_id, "sender", read)
    return TransferOpened.with_window(read, settings.transfer_window_bytes, token)


@router.get("", summary="What one sends and is sent", responses=problems(Unauthenticated, Invalid))
async def list_transfers(
    actor: CallingActor,
    work: WorkPart,
    *,
    role: Annotated[Role | None, Query(description="Only what one sends, or is sent")] = None,
    state: Annotated[State | None, Query(description="Only these, as they show it")] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[TransferRead]:
    """List inbox and outbox together, newest first. What one sends to oneself counts as sent."""
    found = await looking.page(
        work, user_id=actor.user_id, role=role, state=state, before=cursor, limit=limit + 1
    )
    return page_of(found, limit, lambda transfer: transfer.id)


@router.get(
    "/stats",
    summary="What came of it all",
    responses=problems(Unauthenticated, Invalid, RateLimited, Unavailable),
)
async def get_stats(
    actor: CallingActor,
    costly: Costly,
    days: Annotated[int, Query(ge=1, le=366, description="How many days, today included")] = 30,
) -> StatsRead:
    """Return what the caller has sent and received: totals of all time, by day, and by peer."""
    return await statistics.of(costly, user_id=actor.user_id, days=days)


@router.get("/{transfer_id}", summary="Look at a transfer", responses=problems(*_NOBODYS))
async def get_transfer(
    transfer_id: TransferId, actor: CallingActor, work: WorkPart
) -> TransferRead:
    """Return a transfer to its sender or a recipient; recipients see only their own part."""
    return await looking.get(work, actor=actor, transfer_id=transfer_id)


@router.get(
    "/{transfer_id}/missing",
    summary="What is still to come",
    responses=problems(*_NOBODYS, Unavailable),
)
async def get_missing(
    transfer_id: TransferId, actor: PresentedActor, work: WorkPart, peers: PeersPart
) -> MissingRead:
    """Return ranges of chunks: to the sender those that are not stored, from storage's own record;
    to a recipient those they accepted and have not confirmed.
    """
    return await looking.missing(work, peers, actor=actor, transfer_id=transfer_id)


@router.post(
    "/{transfer_id}/accept",
    summary="Accept all or some files",
    responses=problems(*_NOBODYS, Forbidden, OtherDevice, AcceptedOtherwise, TransferOver),
)
async def accept_transfer(
    transfer_id: TransferId,
    actor: CallingActor,
    work: WorkPart,
    grants: GrantsPart,
    response: Response,
    body: Acceptance | None = None,
) -> TransferTaken:
    """Accept an offer, as a recipient. With `token` chunks can be fetched over HTTP."""
    files = body.files if body else None
    told = await acting.accept(work, actor=actor, transfer_id=transfer_id, files=files)
    read = answer(response, told).transfer
    return TransferTaken.with_token(read, grants.to(actor.user_id, "recipient", read))


@router.post(
    "/{transfer_id}/token",
    summary="A token for this transfer alone",
    responses=problems(*_NOBODYS, NotInThisState, TransferOver),
)
async def make_token(transfer_id: TransferId, actor: CallingActor, grants: GrantsPart) -> TokenRead:
    """Return a capability token for the caller's end of the transfer: it lives as long as that.

    Presented as `Authorization: Transfer …` it is good, without an access token, for sending
    chunks, asking what is missing and completing; to a recipient who has accepted for reading
    content, asking what is missing and confirming what came.
    """
    return await grants.ask(actor, transfer_id)


@router.post(
    "/{transfer_id}/reject",
    summary="Reject an offer",
    responses=problems(*_NOBODYS, Forbidden, NotInThisState, TransferOver),
)
async def reject_transfer(
    transfer_id: TransferId, actor: CallingActor, work: WorkPart, response: Response
) -> TransferRead:
    """Say no, as a recipient who has not accepted."""
    return answer(response, await acting.reject(work, actor=actor, transfer_id=transfer_id))


@router.post(
    "/{transfer_id}/pause",
    summary="Have chunks rest",
    responses=problems(*_NOBODYS, NotInThisState, TransferOver),
)
async def pause_transfer(
    transfer_id: TransferId, actor: CallingActor, work: WorkPart, response: Response
) -> TransferRead:
    """Pause: a recipient for themselves, the sender for all who accepted."""
    return answer(response, await acting.pause(work, actor=actor, transfer_id=transfer_id))


@router.post(
    "/{transfer_id}/resume",
    summary="Go on",
    responses=problems(*_NOBODYS, Forbidden, NotInThisState, TransferOver),
)
async def resume_transfer(
    transfer_id: TransferId,
    actor: CallingActor,
    work: WorkPart,
    response: Response,
    body: Resumption | None = None,
) -> TransferRead:
    """Go on, after a pause or on another device.

    With `have`, a recipient says what they hold there; all the rest is sent again.
    """
    have = ranges_of(body.have) if body and body.have is not None else None
    told = await acting.resume(work, actor=actor, transfer_id=transfer_id, have=have)
    return answer(response, told).transfer


@router.post(
    "/{transfer_id}/cancel",
    summary="End it",
    responses=problems(*_NOBODYS, TransferOver),
)
async def cancel_transfer(
    transfer_id: TransferId, actor: CallingActor, work: WorkPart, response: Response
) -> TransferRead:
    """Cancel: a recipient for themselves, the sender for all who are not through."""
    return answer(response, await acting.cancel(work, actor=actor, transfer_id=transfer_id))


@router.post(
    "/{transfer_id}/complete",
    summary="Everything was sent",
    responses=problems(
        *_NOBODYS, Forbidden, UploadIncomplete, DigestMismatch, TransferOver, Unavailable
    ),
)
async def complete_transfer(
    transfer_id: TransferId,
    actor: PresentedActor,
    work: WorkPart,
    peers: PeersPart,
    response: Response,
) -> TransferRead:
    """Have every file verified, as the sender.

    Each recipient is through once they have confirmed everything they accepted, before or after.
    """
    told = await completing.complete(work, peers, actor=actor, transfer_id=transfer_id)
    return answer(response, told)
