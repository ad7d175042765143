"""What other services ask auth. The gateway never routes these."""

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
    id: UUID
    username: str
    display_name: str
    who_may_add: WhoMayAdd = "everybody"


class UserNamesList(BaseModel):
    users: list[UserNames]


class BlocksAsked(BaseModel):
    user_id: UUID
    other_ids: list[UUID] = Field(max_length=_MAX_OTHERS)


class BlocksRead(BaseModel):
    """Those of the others whom the user has `blocked`, and who are `blocking` the user."""

    blocked: list[UUID]
    blocking: list[UUID]
    ids: list[UUID] = Field(description="Both together")


class ContactRulesRead(BaseModel):
    """What a user has said about who may reach them; `version` is that of the list of blocks."""

    user_id: UUID
    username: str
    display_name: str
    who_may_add: WhoMayAdd
    version: int
    blocked_ids: list[UUID]


class ContactRulesPage(BaseModel):
    items: list[ContactRulesRead]
    next: UUID | None = Field(description="`after` of the next page; null at the end")


class DeviceConnect(BaseModel):
    node_id: UUID
    user_id: UUID
    session_id: UUID | None = Field(None, description="The login that the socket came with")
    client_id: ClientId
    name: Name | None = None
    platform: Platform | None = None


class DeviceDisconnect(BaseModel):
    node_id: UUID
    user_id: UUID
    device_id: UUID


class Heartbeat(BaseModel):
    """How long this one holds, and which devices are held to be connected to the node."""

    lease_seconds: float
    devices: int
    digest: int = Field(
        description="The exclusive or of the first 60 bits of the MD5 of each device's id"
    )


class NodeDevices(BaseModel):
    """All devices of a node with ids in (`after`, `up_to`]; no bounds: all."""

    device_ids: list[UUID] = Field(max_length=5000)
    after: UUID | None = None
    up_to: UUID | None = None


class DeviceOf(BaseModel):
    """A device, and whose it is said to be."""

    user_id: UUID
    device_id: UUID


class DevicesAsked(BaseModel):
    devices: list[DeviceOf] = Field(max_length=_MAX_PRESENCES)


class DevicesOwned(BaseModel):
    """Those that are whose they are said to be."""

    devices: list[DeviceOf]


class PresenceAsked(BaseModel):
    user_ids: list[UUID] = Field(max_length=_MAX_PRESENCES)


class PresenceRead(BaseModel):
    """Who is online by a device of theirs, and when a device of each was seen last.

    Those who have no device, or don't exist, are in neither.
    """

    online: list[UUID]
    last_seen: dict[UUID, datetime]


class RevocationList(BaseModel):
    """Logins that ended, and users who are gone, within the time asked for."""

    sessions: list[UUID]
    users: list[UUID]


@router.get("/users", summary="Names of users", responses=problems(Unauthenticated, Invalid))
async def get_users(
    _: InternalCaller,
    work: WorkDep,
    ids: Annotated[Parsed, Query(description="Comma-separated ids, at most 100", max_length=4000)],
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
    summary="Between whom there is a block",
    responses=problems(Unauthenticated, Invalid),
)
async def list_blocks_between(body: BlocksAsked, _: InternalCaller, work: WorkDep) -> BlocksRead:
    """For up to 200 others at once, by who made it. Nobody outside is told."""
    found = await blocks.between(work, UserId(body.user_id), body.other_ids)
    return BlocksRead(
        blocked=sorted(found.blocked),
        blocking=sorted(found.blocking),
        ids=sorted(found.blocked | found.blocking),
    )


@router.get(
    "/contact-rules",
    summary="What people have said about who may reach them",
    responses=problems(Unauthenticated, Invalid),
)
async def list_contact_rules(
    _: InternalCaller, work: WorkDep, after: UUID | None = None
) -> ContactRulesPage:
    """For services that begin to follow it, or missed a part: all who ever said anything."""
    found = await blocks.rules(work, after=after, limit=_RULES_AT_ONCE)
    return ContactRulesPage(
        items=[ContactRulesRead(**each._asdict()) for each in found],
        next=found[-1].user_id if len(found) == _RULES_AT_ONCE else None,
    )


@router.post(
    "/devices/connect",
    summary="A device has a socket on a node",
    responses=problems(Unauthenticated, devices.TooManyDevices),
)
async def connect_device(
    body: DeviceConnect, _: InternalCaller, work: WorkDep, settings: SettingsDep
) -> DeviceRead:
    """One not seen before is registered on the spot."""
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
    summary="A device's last socket on a node is gone",
    responses=problems(Unauthenticated),
)
async def disconnect_device(body: DeviceDisconnect, _: InternalCaller, work: WorkDep) -> None:
    """Safe to repeat. The device stays online if it is connected to another node."""
    await devices.disconnect(
        work, node_id=body.node_id, user_id=UserId(body.user_id), device_id=body.device_id
    )


@router.post(
    "/devices/owned",
    summary="Whether devices are somebody's",
    responses=problems(Unauthenticated, Invalid),
)
async def list_owned_devices(body: DevicesAsked, _: InternalCaller, work: WorkDep) -> DevicesOwned:
    """For up to 200 at once, in no particular order. One that is gone is nobody's."""
    found = await devices.owned(work, [(each.user_id, each.device_id) for each in body.devices])
    return DevicesOwned(
        devices=[DeviceOf(user_id=user_id, device_id=device_id) for user_id, device_id in found]
    )


@router.post(
    "/nodes/{node_id}/heartbeat",
    summary="A gateway node is alive",
    responses=problems(Unauthenticated),
)
async def beat(node_id: UUID, _: InternalCaller, work: WorkDep, settings: SettingsDep) -> Heartbeat:
    """Prolongs the lease of all its devices. If the answer surprises, send the list."""
    held = await nodes.beat(work, node_id=node_id)
    return Heartbeat(lease_seconds=settings.device_lease_seconds, **held._asdict())


@router.put(
    "/nodes/{node_id}/devices",
    summary="Which devices a gateway node holds",
    responses=problems(Unauthenticated),
)
async def put_node_devices(
    node_id: UUID, body: NodeDevices, _: InternalCaller, work: WorkDep, settings: SettingsDep
) -> Heartbeat:
    """The whole truth, page by page; devices that don't exist any more are passed over."""
    held = await nodes.replace(
        work, node_id=node_id, device_ids=body.device_ids, after=body.after, up_to=body.up_to
    )
    return Heartbeat(lease_seconds=settings.device_lease_seconds, **held._asdict())


@router.delete(
    "/nodes/{node_id}",
    status_code=204,
    summary="A gateway node stops",
    responses=problems(Unauthenticated),
)
async def delete_node(node_id: UUID, _: InternalCaller, work: WorkDep) -> None:
    """Its devices are gone. Safe to repeat."""
    await nodes.leave(work, node_id=node_id)


@router.post(
    "/presence",
    summary="Who of these users is online",
    responses=problems(Unauthenticated, Invalid),
)
async def read_presence(
    body: PresenceAsked, _: InternalCaller, work: WorkDep, settings: SettingsDep
) -> PresenceRead:
    """For up to 200 at once. Whoever asks decides who may hear of it."""
    found = await nodes.presence(
        work, user_ids=body.user_ids, lease_seconds=settings.device_lease_seconds
    )
    return PresenceRead(
        online=[each.user_id for each in found if each.online],
        last_seen={each.user_id: each.last_seen_at for each in found},
    )


@router.get("/revocations", summary="What was revoked lately", responses=problems(Unauthenticated))
async def get_revocations(
    _: InternalCaller, work: WorkDep, since_seconds: Annotated[int, Query(ge=0, le=7 * 86400)]
) -> RevocationList:
    """For gateways: at start, and twice a second in case the broker brings nothing."""
    ended, gone = await sessions.revoked_within(work, seconds=since_seconds)
    return RevocationList(sessions=ended, users=gone)
