"""Devices: registered, listed, renamed, removed; online and offline."""

from collections.abc import Collection
from typing import Any, Final
from uuid import UUID

from sqlalchemy import update
from sqlmodel import col, select

from sharezync_auth import access
from sharezync_auth.errors import DeviceExists
from sharezync_auth.models import Device, Session
from sharezync_auth.schemas import DeviceRead
from sharezync_auth.usecases import acquaintances, blocks, nodes, sessions
from sharezync_shared.contracts.auth import TooManyDevices
from sharezync_shared.contracts.services import Services
from sharezync_shared.events.contracts import auth as facts
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
"""Each part asks for the one before, so that rows are locked in the order that `nodes` tells."""


async def register(
    work: UnitsOfWork, *, user_id: UserId, client_id: str, name: str, platform: str, most: int
) -> DeviceRead:
    """Register a device of one's own; a user may have `most`.

    Raises DeviceExists or TooManyDevices.
    """
    async with work.begin() as unit:
        device, made = await _find_or_make(unit, user_id, client_id, name, platform, most)
        if not made:
            raise DeviceExists(device_id=str(device.id))
        return DeviceRead.from_device(device, online=False, last_seen_at=device.last_seen_at)


async def connect(
    work: UnitsOfWork, *, user_id: UserId, session_id: UUID | None, client_id: str, most: int
) -> UUID:
    """Return the id of a device that has opened a connection; an unknown one is registered.

    A login that was not made on a device belongs to this one from now on: it ends with it. A user
    may have `most` devices. Safe to repeat. Raises Unauthenticated where the account is gone, and
    TooManyDevices.
    """
    # When a gateway goes, everybody comes back at once: for them it is one statement.
    asked = (_CONNECT, user_id, client_id, session_id, work.now())
    device_id: UUID | None = await (await work.database.pool()).fetchval(*asked)
    if device_id is None:
        async with work.begin() as unit:
            await _find_or_make(unit, user_id, client_id, client_id, "", most)
            device_id = await (await unit.raw()).fetchval(*asked)
    assert device_id is not None  # noqa: S101 - it is there, and the account was locked
    return device_id


async def owned(
    work: UnitsOfWork, devices: Collection[tuple[UUID, UUID]]
) -> list[tuple[UUID, UUID]]:
    """Return those of these pairs, of a user's id and a device's, in which it is theirs."""
    async with work.read() as unit:
        found = await unit.session.exec(
            select(Device.user_id, Device.id).where(
                col(Device.id).in_({device_id for _, device_id in devices})
            )
        )
        return list(set(devices) & set(found))


async def list_own(work: UnitsOfWork, *, user_id: UserId, lease_seconds: float) -> list[DeviceRead]:
    """Return one's own devices, the oldest first."""
    async with work.read() as unit:
        return await _all_of(unit, user_id, lease_seconds)


async def list_of(
    work: UnitsOfWork,
    services: Services,
    *,
    viewer_id: UserId,
    user_id: UserId,
    lease_seconds: float,
) -> list[DeviceRead]:
    """Return the devices of somebody who knows the viewer, or one's own.

    To a viewer whom they have blocked they look as who has no device. Raises NotFound for
    strangers, for who doesn't exist and whom the viewer has blocked, and Unavailable where it can't
    be found out whether they are strangers.
    """
    async with work.read() as unit:
        await access.profile_to_see(unit, user_id)
    hidden = False
    if user_id != viewer_id:
        between = await blocks.between(work, viewer_id, [user_id])
        if between.blocked or not await acquaintances.exists(services, viewer_id, user_id):
            raise NotFound
        hidden = bool(between.blocking)
    async with work.read() as unit:
        # Asked for in either case: the answer takes the same time.
        found = await _all_of(unit, user_id, lease_seconds)
        return [] if hidden else found


async def _all_of(unit: UnitOfWork, user_id: UserId, lease_seconds: float) -> list[DeviceRead]:
    found = await unit.session.exec(
        select(Device, nodes.last_heard()).where(Device.user_id == user_id).order_by(col(Device.id))
    )
    return [nodes.describe(device, heard_at, unit.now, lease_seconds) for device, heard_at in found]


async def change(
    work: UnitsOfWork,
    *,
    user_id: UserId,
    device_id: UUID,
    changes: dict[str, Any],
    lease_seconds: float,
) -> DeviceRead:
    """Rename a device of one's own. Raises NotFound."""
    async with work.begin() as unit:
        device = await access.device_to_change(unit, user_id, device_id)
        for name, value in changes.items():
            setattr(device, name, value)
        unit.add(device)
        heard_at = await unit.session.exec(select(nodes.last_heard()).where(Device.id == device_id))
        return nodes.describe(device, heard_at.one(), unit.now, lease_seconds)


async def remove(work: UnitsOfWork, *, user_id: UserId, device_id: UUID) -> None:
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
    """Return the device, and whether it is new. The account is locked, so that they are counted
    right, and one that connects twice at once is made once.
    """
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
