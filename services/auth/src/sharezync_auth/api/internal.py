"""Routes for other services. The gateway never routes these."""

from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Depends

from sharezync_auth.api.dependencies import Context
from sharezync_auth.usecases import blocks, devices, nodes, sessions, users
from sharezync_shared.asgi.internal import ids_of, serve
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
    """Returns the names of up to 100 users."""
    found = await users.names(context.work, user_ids=ids_of(asked.ids, auth.MAX_NAMES))
    return auth.UserNamesList(
        [
            auth.UserNames(user.id, user.username, user.display_name, user.who_may_add)
            for user in found
        ]
    )


@serve(router, auth.LIST_BLOCKS, Invalid, summary="List blocks between users")
async def list_blocks_between_users(body: auth.BlocksAsked, context: Context) -> auth.BlocksRead:
    """Checks up to 200 other users, by who made the block. Never show this to users."""
    found = await blocks.between(context.work, UserId(body.user_id), body.other_ids)
    return auth.BlocksRead(
        ids=sorted(found.blocked | found.blocking),
        blocked=sorted(found.blocked),
        blocking=sorted(found.blocking),
    )


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
    """Records that a device has connected to a node. An unknown device is registered."""
    connected = await devices.connect(
        context.work,
        node_id=body.node_id,
        user_id=UserId(body.user_id),
        session_id=body.session_id,
        client_id=body.client_id,
        name=body.name,
        platform=body.platform,
        most=context.settings.devices_per_user,
    )
    return auth.ConnectedDevice(**connected.model_dump())


@serve(router, auth.DISCONNECT_DEVICE, summary="Disconnect a device")
async def disconnect_device(body: auth.DeviceDisconnect, context: Context) -> None:
    """Records that the last connection of a device to a node has closed. Safe to repeat. The device
    stays online while it is connected to another node.
    """
    await devices.disconnect(
        context.work, node_id=body.node_id, user_id=UserId(body.user_id), device_id=body.device_id
    )


@serve(router, auth.LIST_OWNED_DEVICES, Invalid, summary="Check the owners of devices")
async def check_device_owners(body: auth.DevicesAsked, context: Context) -> auth.DevicesOwned:
    """Checks up to 200 devices. Deleted devices belong to no user. The order is unspecified."""
    found = await devices.owned(
        context.work, [(each.user_id, each.device_id) for each in body.devices]
    )
    return auth.DevicesOwned([auth.DeviceOf(*each) for each in found])


@serve(router, auth.BEAT, summary="Renew the lease of a gateway node")
async def renew_node_lease(node_id: UUID, context: Context) -> auth.Heartbeat:
    """Extends the lease of all devices of the node. If the digest differs from the node's own, the
    node should replace its list of devices.
    """
    held = await nodes.beat(context.work, node_id=node_id)
    return auth.Heartbeat(context.settings.device_lease_seconds, **held._asdict())


@serve(router, auth.LIST_NODE_DEVICES, summary="Replace the devices of a gateway node")
async def replace_node_devices(
    node_id: UUID, body: auth.NodeDevices, context: Context
) -> auth.Heartbeat:
    """Replaces the devices with ids in the given range. Devices that don't exist are ignored."""
    held = await nodes.replace(
        context.work,
        node_id=node_id,
        device_ids=body.device_ids,
        after=body.after,
        up_to=body.up_to,
    )
    return auth.Heartbeat(context.settings.device_lease_seconds, **held._asdict())


@serve(router, auth.REMOVE_NODE, summary="Delete a gateway node")
async def delete_node(node_id: UUID, context: Context) -> None:
    """Disconnects all devices of a node that stops. Safe to repeat."""
    await nodes.leave(context.work, node_id=node_id)


@serve(router, auth.GET_PRESENCE, Invalid, summary="Get the presence of users")
async def get_presence(body: auth.PresenceAsked, context: Context) -> auth.Presence:
    """Returns the presence of up to 200 users. The caller checks who may see it."""
    found = await nodes.presence(
        context.work, user_ids=body.user_ids, lease_seconds=context.settings.device_lease_seconds
    )
    return auth.Presence(
        online=[each.user_id for each in found if each.online],
        last_seen={each.user_id: each.last_seen_at for each in found},
    )


@serve(router, auth.LIST_REVOCATIONS, summary="List recent revocations")
async def list_revocations(
    asked: Annotated[auth.RevocationsSince, Depends()], context: Context
) -> auth.RevocationList:
    """Gateways call this when they start, and twice a second in case the broker is unavailable."""
    ended, gone = await sessions.revoked_within(context.work, seconds=asked.since_seconds)
    return auth.RevocationList(sessions=ended, users=gone)
