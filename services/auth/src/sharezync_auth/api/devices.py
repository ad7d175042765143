"""Devices."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from sharezync_auth.api.dependencies import PeersDep, SettingsDep, WorkDep
from sharezync_auth.usecases import devices
from sharezync_auth.wire import DeviceRead
from sharezync_shared.ids import UserId
from sharezync_shared.names.policies import DEVICE_NAME, PLATFORM
from sharezync_shared.problems import NotFound, Unauthenticated, Unavailable, problems
from sharezync_shared.tokens.dependencies import Caller

router = APIRouter(tags=["devices"])

# One path segment of `/ws/{client_id}`, as it is.
ClientId = Annotated[str, Field(pattern=r"^[A-Za-z0-9._~-]{1,64}$", examples=["laptop-7f3a"])]
Name = Annotated[str, DEVICE_NAME, Field(examples=["Ada's laptop"])]
Platform = Annotated[str, PLATFORM, Field(examples=["linux"])]


class DeviceCreate(BaseModel):
    client_id: ClientId
    name: Name
    platform: Platform = ""


class DeviceUpdate(BaseModel):
    """What is left out, or null, stays as it is."""

    name: Name | None = None
    platform: Platform | None = None


class DeviceList(BaseModel):
    items: list[DeviceRead]
    next: None = None


@router.post(
    "/v1/devices",
    status_code=201,
    summary="Register a device",
    responses=problems(Unauthenticated, devices.DeviceExists, devices.TooManyDevices),
)
async def post_device(
    body: DeviceCreate, response: Response, caller: Caller, work: WorkDep, settings: SettingsDep
) -> DeviceRead:
    """A first connection to `/ws/{client_id}` does the same by itself."""
    device = await devices.register(
        work,
        user_id=caller.user_id,
        client_id=body.client_id,
        name=body.name,
        platform=body.platform,
        most=settings.devices_per_user,
    )
    response.headers["Location"] = f"/v1/devices/{device.id}"
    return device


@router.get("/v1/devices", summary="One's own devices", responses=problems(Unauthenticated))
async def list_devices(caller: Caller, work: WorkDep, settings: SettingsDep) -> DeviceList:
    """The oldest first. `online`: it has a connection to `/ws/{client_id}`."""
    return DeviceList(
        items=await devices.list_own(
            work, user_id=caller.user_id, lease_seconds=settings.device_lease_seconds
        )
    )


@router.get(
    "/v1/users/{user_id}/devices",
    summary="Somebody's devices",
    responses=problems(Unauthenticated, NotFound, Unavailable),
)
async def list_devices_of(
    user_id: UUID, caller: Caller, work: WorkDep, peers: PeersDep, settings: SettingsDep
) -> DeviceList:
    """For those in whose company they joined a channel or wrote there, and whose transfer they
    accepted; 404 to others, and of whom the caller has blocked.
    """
    return DeviceList(
        items=await devices.list_of(
            work,
            peers,
            viewer_id=caller.user_id,
            user_id=UserId(user_id),
            lease_seconds=settings.device_lease_seconds,
        )
    )


@router.patch(
    "/v1/devices/{device_id}",
    summary="Rename a device",
    responses=problems(Unauthenticated, NotFound),
)
async def patch_device(
    device_id: UUID, body: DeviceUpdate, caller: Caller, work: WorkDep, settings: SettingsDep
) -> DeviceRead:
    """What is left out stays as it is; `client_id` never changes."""
    return await devices.change(
        work,
        user_id=caller.user_id,
        device_id=device_id,
        changes=body.model_dump(exclude_none=True),
        lease_seconds=settings.device_lease_seconds,
    )


@router.delete(
    "/v1/devices/{device_id}",
    status_code=204,
    summary="Remove a device",
    responses=problems(Unauthenticated, NotFound),
)
async def delete_device(device_id: UUID, caller: Caller, work: WorkDep) -> None:
    """The logins that were made on it end."""
    await devices.remove(work, user_id=caller.user_id, device_id=device_id)
