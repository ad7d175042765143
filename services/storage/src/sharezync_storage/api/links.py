"""Links: made by the owner of a file, followed by anybody who was given one."""

from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Header, Path, Query, Request, Response

from sharezync_shared.asgi.content_wanted import (
    PreconditionFailed,
    RangeUnsatisfiable,
    check_wanted,
    span_of,
)
from sharezync_shared.problems import Invalid, NotFound, Unauthenticated, Unavailable, problems
from sharezync_shared.tokens.dependencies import Caller
from sharezync_storage.api.bodies import SmallBodyRoute
from sharezync_storage.api.content import ContentResponse, version_of
from sharezync_storage.api.dependencies import TheParts, WorkPart
from sharezync_storage.api.downloads import BYTES, RANGES
from sharezync_storage.api.link_wire import (
    LinkCreate,
    LinkCreated,
    LinkLook,
    LinkOpen,
    LinkPage,
    LinkRead,
)
from sharezync_storage.models import FileId, LinkId
from sharezync_storage.problems import (
    ClaimGone,
    ContentDamaged,
    LinkGone,
    LinkLocked,
    LinkPassword,
    StoreUnavailable,
    TooManyLinks,
)
from sharezync_storage.usecases import claims, links

router = APIRouter(prefix="/v1/files/{file_id}/links", tags=["links"], route_class=SmallBodyRoute)
public_router = APIRouter(prefix="/v1/links", tags=["links"], route_class=SmallBodyRoute)

Token = Annotated[str, Path(pattern=r"^[A-Za-z0-9_-]{32}$", description="Of the link")]

_CLAIM_HEADER: Final = "Download-Claim"
# A crawler that shows a preview keeps nothing, and lists nothing.
_SHY: Final = {"Cache-Control": "no-store", "X-Robots-Tag": "noindex"}
_LOOK_PROBLEMS: Final = problems(NotFound, LinkGone, Invalid)
_TOLD: Final[dict[str, Any]] = {
    "headers": {
        _CLAIM_HEADER: {
            "schema": {"type": "string", "format": "uuid"},
            "description": "Send it along to go on with this download, for half an hour",
        }
    },
    **BYTES,
}


@router.post(
    "",
    status_code=201,
    summary="Make a link to a file",
    responses=problems(Unauthenticated, NotFound, Invalid, TooManyLinks, Unavailable),
)
async def create_link(
    file_id: FileId,
    caller: Caller,
    work: WorkPart,
    parts: TheParts,
    response: Response,
    body: LinkCreate | None = None,
) -> LinkCreated:
    """Whoever has it can download the file, without an account: until its time has come, as often
    as is allowed, with its password if it has one.

    Its token is told this once: only a digest of it is kept.
    """
    wanted = body or LinkCreate.model_validate({})
    new = await links.create(
        work,
        parts.passwords,
        parts.limits,
        owner_id=caller.user_id,
        file_id=file_id,
        expires_in_seconds=wanted.expires_in_seconds,
        password=wanted.password,
        max_downloads=wanted.max_downloads,
    )
    response.headers["Location"] = f"/v1/files/{file_id}/links/{new.link.id}"
    return LinkCreated.of_new(new)


@router.get(
    "",
    summary="The links to a file, newest first",
    responses=problems(Unauthenticated, NotFound, Invalid),
)
async def list_links(
    file_id: FileId,
    caller: Caller,
    work: WorkPart,
    cursor: Annotated[LinkId | None, Query(description="`next` of the page before")] = None,
    limit: Annotated[int, Query(ge=1, le=200, description="How many at most")] = 50,
) -> LinkPage:
    """Those too that ran out within the last day."""
    page = await links.page(
        work, owner_id=caller.user_id, file_id=file_id, after=cursor, limit=limit
    )
    items = [LinkRead.of(link) for link in page.items]
    return LinkPage(items=items, next=str(page.next) if page.next else None)


@router.delete(
    "/{link_id}",
    status_code=204,
    summary="Revoke a link",
    responses=problems(Unauthenticated, NotFound),
)
async def revoke_link(file_id: FileId, link_id: LinkId, caller: Caller, work: WorkPart) -> None:
    """It leads nowhere any more, at once. What is being downloaded comes to its end."""
    await links.revoke(work, owner_id=caller.user_id, file_id=file_id, link_id=link_id)


@public_router.get("/{token}", summary="Look at what a link leads to", responses=_LOOK_PROBLEMS)
async def look_at_link(token: Token, work: WorkPart, response: Response) -> LinkLook:
    """Without an account. Never counts as a download, however often, and whoever looks.

    Where it asks for a password, the file is not named before that.
    """
    followed = await links.look(work, token)
    response.headers.update(_SHY)
    return LinkLook.of(followed)


@public_router.head(
    "/{token}",
    summary="Look whether a link leads anywhere",
    response_class=Response,
    responses={200: {"description": "It does"}, **_LOOK_PROBLEMS},
)
async def head_link(token: Token, work: WorkPart) -> Response:
    """As looking at it, without a body. Never counts either."""
    await links.look(work, token)
    return Response(headers=_SHY, media_type="application/json")


@public_router.post(
    "/{token}/content",
    summary="Download by a link",
    response_class=Response,
    responses={
        200: {"description": "The whole file, as its own media type", **_TOLD},
        206: {"description": "The range that was asked for", **_TOLD},
        **problems(
            NotFound, LinkGone, ClaimGone, LinkPassword, LinkLocked, Invalid, PreconditionFailed,
            RangeUnsatisfiable, ContentDamaged, Unavailable, StoreUnavailable,
        ),
    },
    openapi_extra={"parameters": [*RANGES]},
)  # fmt: skip
async def download(
    token: Token,
    request: Request,
    work: WorkPart,
    parts: TheParts,
    body: LinkOpen | None = None,
    claim: Annotated[
        UUID | None,
        Header(alias=_CLAIM_HEADER, description="Of the answer before: goes on with that download"),
    ] = None,
) -> Response:
    """Counts as one download with its first byte; what ends before that gives it back.

    POST, so that nothing that merely follows links uses one up. The answer names its claim: whoever
    sends that along, with a `Range`, goes on without being counted again and without the password,
    for half an hour, even where the link has run out meanwhile.
    """
    followed = await links.follow(work, token)
    file, version = followed.file, version_of(followed.file)
    taken = None
    if claim is not None:
        taken = await claims.resume(work, followed, claim)
    else:
        links.check_holds(followed.link, work.now())
        await parts.unlocking.check(followed.link, None if body is None else body.password)
    check_wanted(request.headers, version)
    span = span_of(request.headers, file.size_bytes, version)
    if taken is None:
        taken = await claims.claim(work, followed)  # last: what was refused above counts nothing
    told = {_CLAIM_HEADER: str(taken.claim_id), "X-Robots-Tag": "noindex"}
    response = ContentResponse(parts.store, file, span, delivery=taken, more_headers=told)
    parts.metrics.link_bytes.inc(response.length)
    return response
