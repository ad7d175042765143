"""Routes for other services. The gateway never routes these."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from sharezync_auth.api.dependencies import SettingsDep, WorkDep
from sharezync_auth.api.devices import ClientId, Name, Platform
from sharezync_auth.models import WhoMayAdd
from sharezync_auth.usecases import blocks, devices, nodes, sessions, users
from sharezync_auth.wire import DeviceRead
from sharezync_shared.ids import UserId
from sharezync_shared.names.policies import Parsed
from sharezync_shared.problems import Invalid, Unauthenticated, problems
from sharezync_shared.tokens.dependencies import InternalCaller

router = APIRouter(prefix="/internal", tags=["internal"])

_MAX_IDS = 100
_MAX_PRESENCES = 200
_MAX_OTHERS = 200
_RULES_AT_ONCE = 50
"""Each with a whole list of blocks."""


class UserNames(BaseModel):
    """Names of a user."""

    id: UUID
    username: str
    display_name: str
    who_may_add: WhoMayAdd = "everybody"


class UserNamesList(BaseModel):
    """Names of users; those that don't exist are left out."""

    users: list[UserNames]


class BlocksAsked(BaseModel):
    """A user, and others to look for blocks with."""

    user_id: UUID
    other_ids: list[UUID] = Field(max_length=_MAX_OTHERS)


class BlocksRead(BaseModel):
    """Blocks between a user and others."""

    blocked: list[UUID] = Field(description="Users blocked by the user")
    blocking: list[UUID] = Field(description="Users who have blocked the user")
    ids: list[UUID] = Field(description="All of them")


class ContactRulesRead(BaseModel):
    """Who may contact a user."""

    user_id: UUID
    username: str
    display_name: str
    who_may_add: WhoMayAdd
    version: int = Field(description="Version of the list of blocked users")
    blocked_ids: list[UUID] = Field(description="Ids of the blocked users")


class ContactRulesPage(BaseModel):
    """A page of contact rules."""

    items: list[ContactRulesRead]
    next: UUID | None = Field(description="`after` of the next page; null on the last page")


class DeviceConnect(BaseModel):
    """A device that has connected to a gateway node."""

    node_id: UUID
    user_id: UUID
    session_id: UUID | None = Field(None, description="Session of the connection")
    client_id: ClientId
    name: Name | None = None
    platform: Platform | None = None


class DeviceDisconnect(BaseModel):
    """A device that has disconnected from a gateway node."""

    node_id: UUID
    user_id: UUID
    device_id: UUID


class Heartbeat(BaseModel):
    """The lease of a gateway node, and the devices that count as connected to it."""

    lease_seconds: float = Field(description="Seconds until the lease expires")
    devices: int = Field(description="Number of devices")
    digest: int = Field(
        description="Exclusive or of the first 60 bits of the MD5 of each device id"
    )


class NodeDevices(BaseModel):
    """All devices of a node with ids in (`after`, `up_to`]."""

    device_ids: list[UUID] = Field(max_length=5000, description="Ids of the devices")
    after: UUID | None = Field(None, description="Exclusive lower bound; null: none")
    up_to: UUID | None = Field(None, description="Inclusive upper bound; null: none")


class DeviceOf(BaseModel):
    """A device and its supposed owner."""

    user_id: UUID
    device_id: UUID


class DevicesAsked(BaseModel):
    """Devices and their supposed owners."""

    devices: list[DeviceOf] = Field(max_length=_MAX_PRESENCES)


class DevicesOwned(BaseModel):
    """The devices that belong to their supposed owner."""

    devices: list[DeviceOf]


class PresenceAsked(BaseModel):
    """Users whose presence is wanted."""

    user_ids: list[UUID] = Field(max_length=_MAX_PRESENCES)


class PresenceRead(BaseModel):
    """Presence of users. Those without a device are in neither field."""

    online: list[UUID] = Field(description="Ids of the users with a connected device")
    last_seen: dict[UUID, datetime] = Field(
        description="When a device of each user was last connected, by user id"
    )


class RevocationList(BaseModel):
    """Sessions and accounts that ended within the requested time."""

    sessions: list[UUID] = Field(description="Ids of the sessions")
    users: list[UUID] = Field(description="Ids of the deleted users")


@router.get("/users", summary="List users by id", responses=problems(Unauthenticated, Invalid))
async def list_users_by_id(
    _: InternalCaller,
    work: WorkDep,
    ids: Annotated[Parsed, Query(description="Comma-separated ids, at most 100", max_length=4000)],
) -> UserNamesList:
    """Returns the names of up to 100 users."""
    try:
        wanted = [UUID(part) for part in ids.split(",") if part]
    except ValueError as error:
        raise Invalid("`ids` must be a comma-separated list of UUIDs") from error
    if len(wanted) > _MAX_IDS:
        raise Invalid(f"At most {_MAX_IDS} ids at once")
    found = await users.names(work, user_ids=wanted)
    return UserNamesList(
        users=[
            UserNames(
                id=user.id,
                username=user.username,
                display_name=user.display_name,
                who_may_add=user.who_may_add,
            )
            for user in found
        ]
    )


@router.post(
    "/blocks",
    summary="List blocks between users",
    responses=problems(Unauthenticated, Invalid),
)
async def list_blocks_between_users(
    body: BlocksAsked, _: InternalCaller, work: WorkDep
) -> BlocksRead:
    """Checks up to 200 other users, by who made the block. Never show this to users."""
    found = await blocks.between(work, UserId(body.user_id), body.other_ids)
    return BlocksRead(
        blocked=sorted(found.blocked),
        blocking=sorted(found.blocking),
        ids=sorted(found.blocked | found.blocking),
    )


@router.get(
    "/contact-rules",
    summary="List contact rules",
    responses=problems(Unauthenticated, Invalid),
)
async def list_contact_rules(
    _: InternalCaller,
    work: WorkDep,
    after: Annotated[UUID | None, Query(description="`next` of the previous page")] = None,
) -> ContactRulesPage:
    """Returns the rules of all users who have set any, for services that build their own copy."""
    found = await blocks.rules(work, after=after, limit=_RULES_AT_ONCE)
    return ContactRulesPage(
        items=[ContactRulesRead(**each._asdict()) for each in found],
        next=found[-1].user_id if len(found) == _RULES_AT_ONCE else None,
    )


@router.post(
    "/devices/connect",
    summary="Connect a device",
    responses=problems(Unauthenticated, devices.TooManyDevices),
)
async def connect_device(
    body: DeviceConnect, _: InternalCaller, work: WorkDep, settings: SettingsDep
) -> DeviceRead:
    """Records that a device has connected to a node. An unknown device is registered."""
    return await devices.connect(
        work,
        node_id=body.node_id,
        user_id=UserId(body.user_id),
        session_id=body.session_id,
        client_id=body.client_id,
        name=body.name,
        platform=body.platform,
        most=settings.devices_per_user,
    )


@router.post(
    "/devices/disconnect",
    status_code=204,
    summary="Disconnect a device",
    responses=problems(Unauthenticated),
)
async def disconnect_device(body: DeviceDisconnect, _: InternalCaller, work: WorkDep) -> None:
    """Records that the last connection of a device to a node has closed. Safe to repeat. The device
    stays online while it is connected to another node.
    """
    await devices.disconnect(
        work, node_id=body.node_id, user_id=UserId(body.user_id), device_id=body.device_id
    )


@router.post(
    "/devices/owned",
    summary="Check the owners of devices",
    responses=problems(Unauthenticated, Invalid),
)
async def check_device_owners(body: DevicesAsked, _: InternalCaller, work: WorkDep) -> DevicesOwned:
    """Checks up to 200 devices. Deleted devices belong to no user. The order is unspecified."""
    found = await devices.owned(work, [(each.user_id, each.device_id) for each in body.devices])
    return DevicesOwned(
        devices=[DeviceOf(user_id=user_id, device_id=device_id) for user_id, device_id in found]
    )


@router.post(
    "/nodes/{node_id}/heartbeat",
    summary="Renew the lease of a gateway node",
    responses=problems(Unauthenticated),
)
async def renew_node_lease(
    node_id: UUID, _: InternalCaller, work: WorkDep, settings: SettingsDep
) -> Heartbeat:
    """Extends the lease of all devices of the node. If the digest differs from the node's own, the
    node should replace its list of devices.
    """
    held = await nodes.beat(work, node_id=node_id)
    return Heartbeat(lease_seconds=settings.device_lease_seconds, **held._asdict())


@router.put(
    "/nodes/{node_id}/devices",
    summary="Replace the devices of a gateway node",
    responses=problems(Unauthenticated),
)
async def replace_node_devices(
    node_id: UUID, body: NodeDevices, _: InternalCaller, work: WorkDep, settings: SettingsDep
) -> Heartbeat:
    """Replaces the devices with ids in the given range. Devices that don't exist are ignored."""
    held = await nodes.replace(
        work, node_id=node_id, device_ids=body.device_ids, after=body.after, up_to=body.up_to
    )
    return Heartbeat(lease_seconds=settings.device_lease_seconds, **held._asdict())


@router.delete(
    "/nodes/{node_id}",
    status_code=204,
    summary="Delete a gateway node",
    responses=problems(Unauthenticated),
)
async def delete_node(node_id: UUID, _: InternalCaller, work: WorkDep) -> None:
    """Disconnects all devices of a node that stops. Safe to repeat."""
    await nodes.leave(work, node_id=node_id)


@router.post(
    "/presence",
    summary="Get the presence of users",
    responses=problems(Unauthenticated, Invalid),
)
async def get_presence(
    body: PresenceAsked, _: InternalCaller, work: WorkDep, settings: SettingsDep
) -> PresenceRead:
    """Returns the presence of up to 200 users. The caller checks who may see it."""
    found = await nodes.presence(
        work, user_ids=body.user_ids, lease_seconds=settings.device_lease_seconds
    )
    return PresenceRead(
        online=[each.user_id for each in found if each.online],
        last_seen={each.user_id: each.last_seen_at for each in found},
    )


@router.get("/revocations", summary="List recent revocations", responses=problems(Unauthenticated))
async def list_revocations(
    _: InternalCaller,
    work: WorkDep,
    since_seconds: Annotated[
        int, Query(ge=0, le=7 * 86400, description="How far to look back, in seconds")
    ],
) -> RevocationList:
    """Gateways call this when they start, and twice a second in case the broker is unavailable."""
    ended, gone = await sessions.revoked_within(work, seconds=since_seconds)
    return RevocationList(sessions=ended, users=gone)
