"""What other services ask auth. The gateway never routes these."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from sharezync_auth.api.dependencies import WorkDep
from sharezync_auth.api.devices import ClientId, Name, Platform
from sharezync_auth.usecases import devices, sessions, users
from sharezync_auth.wire import DeviceRead
from sharezync_shared.ids import UserId
from sharezync_shared.problems import Invalid, Unauthenticated, problems
from sharezync_shared.tokens.dependencies import InternalCaller

router = APIRouter(prefix="/internal", tags=["internal"])

_MAX_IDS = 100


class UserNames(BaseModel):
    id: UUID
    username: str
    display_name: str


class UserNamesList(BaseModel):
    users: list[UserNames]


class DeviceConnect(BaseModel):
    user_id: UUID
    client_id: ClientId
    name: Name | None = None
    platform: Platform | None = None


class DeviceDisconnect(BaseModel):
    user_id: UUID
    device_id: UUID


class RevocationList(BaseModel):
    """Logins that ended, and users who are gone, within the time asked for."""

    sessions: list[UUID]
    users: list[UUID] = Field(default_factory=list)


@router.get("/users", summary="Names of users", responses=problems(Unauthenticated, Invalid))
async def get_users(
    _: InternalCaller,
    work: WorkDep,
    ids: Annotated[str, Query(description="Comma-separated ids, at most 100", max_length=4000)],
) -> UserNamesList:
    try:
        wanted = [UUID(part) for part in ids.split(",") if part]
    except ValueError as error:
        raise Invalid("`ids` holds something that is not an id") from error
    if len(wanted) > _MAX_IDS:
        raise Invalid(f"At most {_MAX_IDS} ids at once")
    found = await users.names(work, user_ids=wanted)
    return UserNamesList(
        users=[
            UserNames(id=user.id, username=user.username, display_name=user.display_name)
            for user in found
        ]
    )


@router.post(
    "/devices/connect",
    summary="A device is connected",
    responses=problems(Unauthenticated, devices.TooManyDevices),
)
async def connect_device(body: DeviceConnect, _: InternalCaller, work: WorkDep) -> DeviceRead:
    """One not seen before is registered on the spot."""
    return await devices.connect(
        work,
        user_id=UserId(body.user_id),
        client_id=body.client_id,
        name=body.name,
        platform=body.platform,
    )


@router.post(
    "/devices/disconnect",
    status_code=204,
    summary="A device's last socket is gone",
    responses=problems(Unauthenticated),
)
async def disconnect_device(body: DeviceDisconnect, _: InternalCaller, work: WorkDep) -> None:
    await devices.disconnect(work, user_id=UserId(body.user_id), device_id=body.device_id)


@router.get("/revocations", summary="What was revoked lately", responses=problems(Unauthenticated))
async def get_revocations(
    _: InternalCaller, work: WorkDep, since_seconds: Annotated[int, Query(ge=0, le=7 * 86400)]
) -> RevocationList:
    """For a gateway that starts, or was cut off from the broker."""
    return RevocationList(sessions=await sessions.revoked_within(work, seconds=since_seconds))
