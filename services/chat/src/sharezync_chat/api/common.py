"""What the routes share: the parts they are given, the inputs they read, how they answer."""

from typing import Annotated, Final, TypeVar
from uuid import UUID

from fastapi import Depends, Query, Request, Response

from sharezync_chat.settings import ChatSettings
from sharezync_chat.usecases import people
from sharezync_chat.usecases.limits import ChatLimits
from sharezync_chat.usecases.posting import MessageWriter
from sharezync_shared.contracts.services import Services
from sharezync_shared.db.work import UnitsOfWork
from sharezync_shared.problems import Unauthenticated
from sharezync_shared.streams.log import StreamPosition
from sharezync_shared.streams.published import Published
from sharezync_shared.tokens import Caller, Identity

Outcome = TypeVar("Outcome")

POSITION_HEADER: Final = "Stream-Position"
"""On the answer to a change: `<stream> <epoch> <seq>` of the event that told it."""


# ------------------------------------------------------------------------------------------ parts


async def _work(request: Request) -> UnitsOfWork:
    work: UnitsOfWork = request.app.state.work
    return work


async def _posting(request: Request) -> MessageWriter:
    posting: MessageWriter = request.app.state.posting
    return posting


async def _services(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


async def _limits(request: Request) -> ChatLimits:
    limits: ChatLimits = request.app.state.limits
    return limits


async def _settings(request: Request) -> ChatSettings:
    settings: ChatSettings = request.app.state.settings
    return settings


WorkPart = Annotated[UnitsOfWork, Depends(_work)]
PostingPart = Annotated[MessageWriter, Depends(_posting)]
ServicesPart = Annotated[Services, Depends(_services)]
LimitsPart = Annotated[ChatLimits, Depends(_limits)]
SettingsPart = Annotated[ChatSettings, Depends(_settings)]


async def _known_caller(caller: Caller, work: WorkPart, services: ServicesPart) -> Identity:
    try:
        await people.require(work, services, [caller.user_id])
    except people.UserNotFound as error:
        raise Unauthenticated("The account of this token no longer exists") from error
    return caller


KnownCaller = Annotated[Identity, Depends(_known_caller)]
"""The caller, whose names chat knows: for routes that make them a member of something."""


# ----------------------------------------------------------------------------------------- inputs


Limit = Annotated[int, Query(ge=1, le=200, description="Maximum number of items")]
Cursor = Annotated[UUID | None, Query(description="`next` of the previous page")]


# ---------------------------------------------------------------------------------------- answers


def answer(response: Response, told: Published[Outcome], *, location: str = "") -> Outcome:
    """Return the outcome, having said where its event stands, and 200 where nothing was made.

    `location` is that of a thing which the route may have made.
    """
    if told.at is not None:
        response.headers[POSITION_HEADER] = position_text(told.at)
    if location:
        response.headers["Location"] = location
        response.status_code = 201 if told.created else 200
    return told.outcome


def no_content(told: Published[None]) -> Response:
    """Return an empty answer that says where the event stands."""
    headers = {} if told.at is None else {POSITION_HEADER: position_text(told.at)}
    return Response(status_code=204, headers=headers)


def position_text(at: StreamPosition) -> str:
    """Return a place in a stream as a header value."""
    return f"{at.stream} {at.epoch} {at.seq}"
