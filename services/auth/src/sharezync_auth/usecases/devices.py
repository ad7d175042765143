"""Devices: registered, listed, renamed, removed; online and offline."""

import asyncio
from collections.abc import Collection
from typing import Any, Final
from uuid import UUID

from sqlalchemy import update
from sqlmodel import col, select

from sharezync_auth import access
from sharezync_auth.errors import DeviceExists
from sharezync_auth.models import Device, Session
from sharezync_auth.schemas import DeviceRead
from sharezync_auth.usecases import blocks, nodes, sessions
from sharezync_auth.usecases.context import AuthContext
from sharezync_shared.calls.client import ServiceUnavailable
from sharezync_shared.contracts.auth import DeviceOf, TooManyDevices
from sharezync_shared.contracts.services import Services
from sharezync_shared.events import contracts as facts
from sharezync_shared.ids import UserId
from sharezync_shared.problems import NotFound
from sharezync_shared.work import UnitOfWork, UnitsOfWork

_CONNECT: Final = """
WITH account AS MATERIALIZED (
    SELECT FROM auth.users WHERE id = $1 FOR KEY SHARE
), device AS MATERIALIZED (
    SELECT id FROM auth.devices
     WHERE user_id = $1 AND client_id = $2 AND EXISTS (SELECT FROM account) FOR KEY SHARE
), login AS (
    UPDATE auth.sessions AS s
       SET device_id = coalesce(s.device_id, device.id),
           last_used_at = greatest(s.last_used_at, $4)
      FROM device WHERE s.id = $3 AND s.user_id = $1 AND s.revoked_at IS NULL
)
SELECT id FROM device
"""
"""Each part asks for the one before, so that rows are locked in the order that `nodes` gives."""


async def register(
    context: AuthContext, user_id: UserId, *, client_id: str, name: str, platform: str
) -> DeviceRead:
    """Register a device of one's own. Raises DeviceExists or TooManyDevices."""
    most = context.settings.devices_per_user
    async with context.work.begin() as unit:
        device, made = await _find_or_make(unit, user_id, client_id, name, platform, most)
        if not made:
            raise DeviceExists(device_id=str(device.id))
        return nodes.describe(context.settings, device, None, unit.now)


async def connect(
    context: AuthContext, user_id: UserId, *, session_id: UUID | None, client_id: str
) -> UUID:
    """Return the id of a device that has opened a connection; an unknown one is registered.

    A login that was not made on a device belongs to this one from now on. Safe to repeat. Raises
    Unauthenticated where the account is gone, and TooManyDevices.
    """
    work, most = context.work, context.settings.devices_per_user
    # When a gateway goes, everybody comes back at once: for them it is one statement.
    asked = (_CONNECT, user_id, client_id, session_id, work.now())
    device_id: UUID | None = await (await work.database.pool()).fetchval(*asked)
    if device_id is None:
        async with work.begin() as unit:
            await _find_or_make(unit, user_id, client_id, client_id, "", most)
            device_id = await (await unit.raw()).fetchval(*asked)
    assert device_id is not None  # noqa: S101 - it is there, and the account was locked
    return device_id


async def owned(work: UnitsOfWork, devices: Collection[DeviceOf]) -> list[DeviceOf]:
    ids = {each.device_id for each in devices}
    async with work.read() as unit:
        found = await unit.session.exec(
            select(Device.user_id, Device.id).where(col(Device.id).in_(ids))
        )
        return list(set(devices) & {DeviceOf(*row) for row in found})


async def list_own(context: AuthContext, user_id: UserId) -> list[DeviceRead]:
    """Return one's own devices, the oldest first."""
    query = select(Device, nodes.last_heard()).where(Device.user_id == user_id)
    settings = context.settings
    async with context.work.read() as unit:
        found = await unit.session.exec(query.order_by(col(Device.id)))
        return [nodes.describe(settings, each, heard, unit.now) for each, heard in found]


async def list_of(context: AuthContext, viewer_id: UserId, user_id: UserId) -> list[DeviceRead]:
    """Return the devices of somebody who knows the viewer; none to whom they have blocked.

    Raises NotFound for strangers and whom the viewer has blocked, and Unavailable where it can't be
    found out whether they are strangers.
    """
    async with context.work.read() as unit:
        await access.profile_to_see(unit, user_id)
    hidden = False
    if user_id != viewer_id:
        between = await blocks.between(context.work, viewer_id, [user_id])
        if between.blocked or not await _is_acquainted(context.services, viewer_id, user_id):
            raise NotFound
        hidden = bool(between.blocking)
    # Asked for in either case: the answer takes the same time.
    found = await list_own(context, user_id)
    return [] if hidden else found


async def _is_acquainted(services: Services, user_id: UserId, other_id: UserId) -> bool:
    """Return whether `other_id` knows `user_id`, by chat or by transfer: the first yes decides.

    Raises ServiceUnavailable where one of them could not be asked and the other says no.
    """
    asked = [
        asyncio.create_task(client.acquainted(user_id, other_id))
        for client in (services.chat, services.transfer)
    ]
    unavailable: ServiceUnavailable | None = None
    try:
        for answer in asyncio.as_completed(asked):
            try:
                if await answer:
                    return True
            except ServiceUnavailable as error:
                unavailable = error
    finally:
        for task in asked:
            task.cancel()
        await asyncio.gather(*asked, return_exceptions=True)
    if unavailable is not None:
        raise unavailable
    return False


async def change(
    context: AuthContext, user_id: UserId, device_id: UUID, changes: dict[str, Any]
) -> DeviceRead:
    """Rename a device of one's own. Raises NotFound."""
    async with context.work.begin() as unit:
        device = await access.device_to_change(unit, user_id, device_id)
        for name, value in changes.items():
            setattr(device, name, value)
        unit.add(device)
        heard_at = await unit.session.exec(select(nodes.last_heard()).where(Device.id == device_id))
        return nodes.describe(context.settings, device, heard_at.one(), unit.now)


async def remove(work: UnitsOfWork, user_id: UserId, device_id: UUID) -> None:
    """Remove a device of one's own; the logins made on it end. Raises NotFound."""
    async with work.begin() as unit:
        # Before the device: nobody logs in on it from here on.
        await access.own_account(unit, user_id, lock=True)
        device = await access.device_to_change(unit, user_id, device_id)
        living = await sessions.living_of(unit, user_id)
        await sessions.end(unit, [s for s in living if s.device_id == device.id], "device_removed")
        await unit.session.flush()
        await unit.session.exec(
            update(Session).where(col(Session.device_id) == device.id).values(device_id=None)
        )
        await unit.session.delete(device)


async def _find_or_make(
    unit: UnitOfWork, user_id: UserId, client_id: str, name: str, platform: str, most: int
) -> tuple[Device, bool]:
    """Return the device, and whether it is new; the account is locked."""
    await access.own_account(unit, user_id, lock=True)
    own = await unit.session.exec(select(Device).where(Device.user_id == user_id))
    devices = {device.client_id: device for device in own}
    if found := devices.get(client_id):
        return found, False
    if len(devices) >= most:
        raise TooManyDevices(limit=most)
    device = Device(
        user_id=user_id,
        client_id=client_id,
        name=name,
        platform=platform,
        created_at=unit.now,
        last_seen_at=unit.now,
    )
    unit.add(device)
    unit.emit(facts.DeviceRegistered(user_id=user_id, device_id=device.id, client_id=client_id))
    return device, True
