"""Devices."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from sharezync_auth.api.dependencies import Context
from sharezync_auth.errors import DeviceExists
from sharezync_auth.schemas import DeviceRead
from sharezync_auth.usecases import devices
from sharezync_shared.contracts.auth import TooManyDevices
from sharezync_shared.examples import examples
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
    """A device to register."""

    model_config = examples(
        {"client_id": "laptop-7f3a", "name": "Ada's laptop", "platform": "linux"},
        {"client_id": "phone-91c0", "name": "Ada's phone"},
    )

    client_id: ClientId
    name: Name
    platform: Platform = ""


class DeviceUpdate(BaseModel):
    """Changes to a device. Fields that are omitted or null stay unchanged."""

    model_config = examples(
        {"name": "Old laptop"},
        {"name": "Ada's phone", "platform": "android"},
    )

    name: Name | None = None
    platform: Platform | None = None


class DeviceList(BaseModel):
    """All devices of a user."""

    items: list[DeviceRead]
    next: None = Field(None, description="Always null: there is only one page")


@router.post(
    "/v1/devices",
    status_code=201,
    summary="Register a device",
    responses=problems(Unauthenticated, DeviceExists, TooManyDevices),
)
async def create_device(
    body: DeviceCreate, response: Response, caller: Caller, context: Context
) -> DeviceRead:
    """Connecting to `/ws/{client_id}` for the first time registers a device as well."""
    device = await devices.register(context, caller.user_id, **body.model_dump())
    response.headers["Location"] = f"/v1/devices/{device.id}"
    return device


@router.get("/v1/devices", summary="List your devices", responses=problems(Unauthenticated))
async def list_devices(caller: Caller, context: Context) -> DeviceList:
    """Returns your devices, oldest first. A device is `online` while it is connected to
    `/ws/{client_id}`.
    """
    return DeviceList(items=await devices.list_own(context, caller.user_id))


@router.get(
    "/v1/users/{user_id}/devices",
    summary="List devices of a user",
    responses=problems(Unauthenticated, NotFound, Unavailable),
)
async def list_user_devices(user_id: UUID, caller: Caller, context: Context) -> DeviceList:
    """Available if the user has joined or written to a channel that you are in, or has accepted a
    transfer of yours. Otherwise, and if you have blocked the user, the answer is 404.
    """
    return DeviceList(items=await devices.list_of(context, caller.user_id, UserId(user_id)))


@router.patch(
    "/v1/devices/{device_id}",
    summary="Update a device",
    responses=problems(Unauthenticated, NotFound),
)
async def update_device(
    device_id: UUID, body: DeviceUpdate, caller: Caller, context: Context
) -> DeviceRead:
    """Changes the name or platform of a device. `client_id` can't be changed."""
    changes = body.model_dump(exclude_none=True)
    return await devices.change(context, caller.user_id, device_id, changes)


@router.delete(
    "/v1/devices/{device_id}",
    status_code=204,
    summary="Delete a device",
    responses=problems(Unauthenticated, NotFound),
)
async def delete_device(device_id: UUID, caller: Caller, context: Context) -> None:
    """Also ends all sessions of the device."""
    await devices.remove(context.work, caller.user_id, device_id)
