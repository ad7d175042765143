"""What the routes share: the parts they are given, the inputs they read, how they answer."""

from typing import Annotated, Final, TypeVar
from uuid import UUID

from fastapi import Depends, Query, Request, Response

from sharezync_shared.contracts.services import Services
from sharezync_shared.db.work import UnitsOfWork
from sharezync_shared.problems import Unauthenticated
from sharezync_shared.ranges import Pair, Ranges
from sharezync_shared.streams.log import StreamPosition
from sharezync_shared.streams.published import Published
from sharezync_shared.tokens import Caller
from sharezync_transfer.access import Actor
from sharezync_transfer.settings import TransferSettings
from sharezync_transfer.usecases import people
from sharezync_transfer.usecases.capabilities import CapabilityIssuer
from sharezync_transfer.usecases.progress_broadcast import ProgressBroadcast

Outcome = TypeVar("Outcome")

POSITION_HEADER: Final = "Stream-Position"
"""On the answer to a change: `<stream> <epoch> <seq>` of the event that told it."""


# ------------------------------------------------------------------------------------------ parts


async def _work(request: Request) -> UnitsOfWork:
    work: UnitsOfWork = request.app.state.work
    return work


async def _services(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


async def _pulse(request: Request) -> ProgressBroadcast:
    pulse: ProgressBroadcast = request.app.state.pulse
    return pulse


async def _settings(request: Request) -> TransferSettings:
    settings: TransferSettings = request.app.state.settings
    return settings


async def _grants(request: Request) -> CapabilityIssuer:
    grants: CapabilityIssuer = request.app.state.grants
    return grants


WorkPart = Annotated[UnitsOfWork, Depends(_work)]
ServicesPart = Annotated[Services, Depends(_services)]
PulsePart = Annotated[ProgressBroadcast, Depends(_pulse)]
SettingsPart = Annotated[TransferSettings, Depends(_settings)]
GrantsPart = Annotated[CapabilityIssuer, Depends(_grants)]


async def _actor(caller: Caller) -> Actor:
    return Actor(caller.user_id, caller.device_id)


async def _known_actor(caller: Caller, work: WorkPart, services: ServicesPart) -> Actor:
    try:
        await people.require(work, services, [caller.user_id])
    except people.UserNotFound as error:
        raise Unauthenticated("The account of this token no longer exists") from error
    return await _actor(caller)


CallingActor = Annotated[Actor, Depends(_actor)]
"""The caller, on the device that their login named."""

KnownActor = Annotated[Actor, Depends(_known_actor)]
"""The same, whose names transfer knows: for routes that make them the sender of something."""

# ----------------------------------------------------------------------------------------- inputs


Limit = Annotated[int, Query(ge=1, le=100, description="Maximum number of items")]
Cursor = Annotated[UUID | None, Query(description="`next` of the previous page")]


def ranges_of(found: dict[int, list[Pair]]) -> dict[int, Ranges]:
    """Return checked input as sets."""
    return {index: Ranges(pairs) for index, pairs in found.items()}


# ---------------------------------------------------------------------------------------- answers


def answer(response: Response, told: Published[Outcome]) -> Outcome:
    """Return the outcome, having said where its event stands."""
    if told.at is not None:
        response.headers[POSITION_HEADER] = position_text(told.at)
    return told.outcome


def position_text(at: StreamPosition) -> str:
    """Return a place in a stream as a header value."""
    return f"{at.stream} {at.epoch} {at.seq}"
