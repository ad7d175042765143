"""Routes for other services. The gateway never routes these."""

from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Depends

from sharezync_auth.api.dependencies import Context
from sharezync_auth.usecases import blocks, devices, nodes, sessions, users
from sharezync_shared.calls.serving import ids_of, serve
from sharezync_shared.contracts import auth
from sharezync_shared.ids import UserId
from sharezync_shared.problems import Invalid

router = APIRouter(tags=["internal"])

_RULES_AT_ONCE: Final = 50
"""Each with a whole list of blocks."""


@serve(router, auth.GET_NAMES, Invalid, summary="List users by id")
async def list_users_by_id(
    asked: Annotated[auth.NamesOf, Depends()], context: Context
) -> auth.UserNamesList:
    """Returns the names and avatars of up to 100 users."""
    ids = ids_of(asked.ids, auth.MAX_NAMES)
    return auth.UserNamesList(await users.names(context.work, ids))


@serve(router, auth.LIST_BLOCKS, Invalid, summary="List blocks between users")
async def list_blocks_between_users(body: auth.BlocksAsked, context: Context) -> auth.BlocksRead:
    """Checks up to 200 other users, by who made the block. Never show this to users."""
    return await blocks.between(context.work, body.user_id, body.other_ids)


@serve(router, auth.LIST_CONTACT_RULES, Invalid, summary="List contact rules")
async def list_contact_rules(
    asked: Annotated[auth.ContactRulesFrom, Depends()], context: Context
) -> auth.ContactRulesPage:
    """Returns the rules of all users who have set any, for services that build their own copy."""
    found = await blocks.rules(context.work, after=asked.after, limit=_RULES_AT_ONCE)
    return auth.ContactRulesPage(
        found,
        next=found[-1].user_id if len(found) == _RULES_AT_ONCE else None,
    )


@serve(router, auth.CONNECT_DEVICE, summary="Connect a device")
async def connect_device(body: auth.DeviceConnect, context: Context) -> auth.ConnectedDevice:
    """Assigns the session to the device, unless it belongs to one. An unknown device is registered.
    The device is online when its node says so.
    """
    return auth.ConnectedDevice(
        await devices.connect(
            context, UserId(body.user_id), session_id=body.session_id, client_id=body.client_id
        )
    )


@serve(router, auth.LIST_OWNED_DEVICES, Invalid, summary="Check the owners of devices")
async def check_device_owners(body: auth.DevicesAsked, context: Context) -> auth.DevicesOwned:
    """Checks up to 200 devices. Deleted devices belong to no user. The order is unspecified."""
    return auth.DevicesOwned(await devices.owned(context.work, body.devices))


@serve(router, auth.UPDATE_NODE, summary="Report the devices of a gateway node")
async def report_node_devices(
    node_id: UUID, body: auth.NodeUpdate, context: Context
) -> auth.NodeLease:
    """Extends the lease of all devices of the node. Devices that don't exist are ignored. An update
    is refused if its number isn't the highest so far, or if the update that it follows is unknown.
    """
    seq, accepted = await nodes.update(context.work, node_id=node_id, change=body)
    return auth.NodeLease(context.settings.device_lease_seconds, seq, accepted)


@serve(router, auth.GET_PRESENCE, Invalid, summary="Get the presence of users")
async def get_presence(body: auth.PresenceAsked, context: Context) -> auth.Presence:
    """Returns the presence of up to 200 users. The caller checks who may see it."""
    return await nodes.presence(
        context.work, user_ids=body.user_ids, lease_seconds=context.settings.device_lease_seconds
    )


@serve(router, auth.LIST_REVOCATIONS, summary="List recent revocations")
async def list_revocations(
    asked: Annotated[auth.RevocationsSince, Depends()], context: Context
) -> auth.RevocationList:
    """Gateways call this when they start, and twice a second in case the broker is unavailable."""
    return await sessions.revoked_within(context.work, asked.since_seconds)
