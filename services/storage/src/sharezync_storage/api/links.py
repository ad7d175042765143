"""Links to files: created by the owner, usable by everyone who has one."""

from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Header, Path, Query, Request, Response

from sharezync_shared.addresses import address_of
from sharezync_shared.asgi.content_wanted import (
    PreconditionFailed,
    RangeUnsatisfiable,
    check_wanted,
    span_of,
)
from sharezync_shared.pages import Page, page_of
from sharezync_shared.problems import Invalid, NotFound, Unauthenticated, Unavailable, problems
from sharezync_shared.tokens.dependencies import Caller
from sharezync_storage import errors
from sharezync_storage.api.bodies import SmallBodyRoute
from sharezync_storage.api.content import ContentResponse, version_of
from sharezync_storage.api.dependencies import Context
from sharezync_storage.api.downloads import BYTES, RANGES
from sharezync_storage.models import FileId, LinkId
from sharezync_storage.schemas import (
    LinkCreate,
    LinkCreated,
    LinkLook,
    LinkOpen,
    LinkRead,
)
from sharezync_storage.usecases import claims, links

router = APIRouter(prefix="/v1/files/{file_id}/links", tags=["files"], route_class=SmallBodyRoute)
public_router = APIRouter(prefix="/v1/links", tags=["files"], route_class=SmallBodyRoute)

Token = Annotated[str, Path(pattern=r"^[A-Za-z0-9_-]{32}$", description="Token of the link")]

_CLAIM_HEADER: Final = "Download-Claim"
# A crawler that shows a preview keeps nothing, and lists nothing.
_SHY: Final = {"Cache-Control": "no-store", "X-Robots-Tag": "noindex"}
_LOOK_PROBLEMS: Final = problems(NotFound, errors.LinkGone, Invalid)
_HEADERS: Final[dict[str, Any]] = {
    "headers": {
        _CLAIM_HEADER: {
            "schema": {"type": "string", "format": "uuid"},
            "description": "Send it to resume this download within half an hour",
        }
    },
    **BYTES,
}


@router.post(
    "",
    status_code=201,
    summary="Create a link to a file",
    responses=problems(Unauthenticated, NotFound, Invalid, errors.TooManyLinks, Unavailable),
)
async def create_link(
    file_id: FileId,
    caller: Caller,
    context: Context,
    response: Response,
    body: LinkCreate | None = None,
) -> LinkCreated:
    """Everyone who has the link can download the file without an account, until it expires, within
    the allowed number of downloads, and with its password if it has one.

    The token is only shown in this response: only a digest of it is stored.
    """
    wanted = body or LinkCreate.model_validate({})
    link, token = await links.create(
        context,
        owner_id=caller.user_id,
        file_id=file_id,
        expires_in_seconds=wanted.expires_in_seconds,
        password=wanted.password,
        max_downloads=wanted.max_downloads,
    )
    response.headers["Location"] = f"/v1/files/{file_id}/links/{link.id}"
    fields = LinkRead.model_validate(link).model_dump()
    return LinkCreated(**fields, token=token, path=f"/v1/links/{token}")


@router.get(
    "",
    summary="List links to a file",
    responses=problems(Unauthenticated, NotFound, Invalid),
)
async def list_links(
    file_id: FileId,
    caller: Caller,
    context: Context,
    cursor: Annotated[LinkId | None, Query(description="`next` of the previous page")] = None,
    limit: Annotated[int, Query(ge=1, le=200, description="Maximum number of items")] = 50,
) -> Page[LinkRead]:
    """Returns the links, newest first, including those that expired within the last day."""
    found = await links.page(
        context.work, owner_id=caller.user_id, file_id=file_id, after=cursor, limit=limit + 1
    )
    return page_of([LinkRead.model_validate(link) for link in found], limit, lambda link: link.id)


@router.delete(
    "/{link_id}",
    status_code=204,
    summary="Revoke a link",
    responses=problems(Unauthenticated, NotFound),
)
async def revoke_link(file_id: FileId, link_id: LinkId, caller: Caller, context: Context) -> None:
    """The link can no longer be used. Active downloads continue."""
    await links.revoke(context.work, owner_id=caller.user_id, file_id=file_id, link_id=link_id)


@public_router.get("/{token}", summary="Get a link", responses=_LOOK_PROBLEMS)
async def get_link(token: Token, context: Context, response: Response) -> LinkLook:
    """Describes the linked file. Needs no account, and doesn't count as a download.

    If the link requires a password, the file isn't described.
    """
    followed = await links.look(context.work, token)
    response.headers.update(_SHY)
    return LinkLook.from_link(followed)


@public_router.head(
    "/{token}",
    summary="Check a link",
    response_class=Response,
    responses={200: {"description": "The link can be used"}, **_LOOK_PROBLEMS},
)
async def check_link(token: Token, context: Context) -> Response:
    """Checks whether the link can be used. Doesn't count as a download."""
    await links.look(context.work, token)
    return Response(headers=_SHY, media_type="application/json")


@public_router.post(
    "/{token}/content",
    summary="Download a linked file",
    response_class=Response,
    responses={
        200: {"description": "The whole file, with its media type", **_HEADERS},
        206: {"description": "The requested range", **_HEADERS},
        **problems(
            NotFound, errors.LinkGone, errors.ClaimGone, errors.LinkPassword, errors.LinkLocked,
            Invalid, PreconditionFailed, RangeUnsatisfiable, errors.ContentDamaged, Unavailable,
            errors.StoreUnavailable,
        ),
    },
    openapi_extra={"parameters": [*RANGES]},
)  # fmt: skip
async def download_linked_file(
    token: Token,
    request: Request,
    context: Context,
    body: LinkOpen | None = None,
    claim: Annotated[
        UUID | None,
        Header(
            alias=_CLAIM_HEADER, description="From an earlier response, to resume that download"
        ),
    ] = None,
) -> Response:
    """Counts as a download once the first byte is sent.

    The method is POST so that link previews and crawlers don't use up downloads. The response has a
    `Download-Claim`: send it with a `Range` to resume within half an hour, without counting again,
    without the password, and even if the link has expired since.
    """
    followed = await links.follow(context.work, token)
    file, version = followed.file, version_of(followed.file)
    taken = None
    if claim is not None:
        taken = await claims.resume(context.work, followed, claim)
    else:
        links.check_valid(followed.link, context.work.now())
        password = body.password if body else None
        await links.check_password(context, followed.link, password, address=address_of(request))
    check_wanted(request.headers, version)
    span = span_of(request.headers, file.size_bytes, version)
    if taken is None:
        # Last: what was refused above counts nothing.
        taken = await claims.claim(context.work, followed)
    headers = {_CLAIM_HEADER: str(taken.claim_id), "X-Robots-Tag": "noindex"}
    response = ContentResponse(context.store, file, span, delivery=taken, more_headers=headers)
    context.metrics.link_bytes.inc(response.length)
    return response
