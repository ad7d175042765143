"""Devices: registered, listed, renamed, removed; online and offline."""

from collections.abc import Collection
from typing import Any, Final
from uuid import UUID

from sqlalchemy import update
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col, func, select

from sharezync_auth import access
from sharezync_auth.errors import DeviceExists
from sharezync_auth.models import Device, DeviceConnection, Session
from sharezync_auth.schemas import DeviceRead
from sharezync_auth.usecases import acquaintances, blocks, nodes, sessions
from sharezync_shared.contracts.auth import TooManyDevices
from sharezync_shared.contracts.services import Services
from sharezync_shared.db.work import UnitOfWork, UnitsOfWork
from sharezync_shared.events.contracts import auth as facts
from sharezync_shared.ids import UserId, uuid7
from sharezync_shared.problems import NotFound

_RECONNECT: Final = """
WITH account AS MATERIALIZED (
    SELECT FROM auth.users WHERE id = $1 FOR KEY SHARE
), node AS MATERIALIZED (
    SELECT FROM auth.gateway_nodes WHERE id = $2 AND EXISTS (SELECT FROM account) FOR KEY SHARE
), device AS (
    UPDATE auth.devices SET last_seen_at = greatest(last_seen_at, $4)
     WHERE user_id = $1 AND client_id = $3 AND EXISTS (SELECT FROM node)
 RETURNING id, client_id, name, platform, last_seen_at
), login AS (
    UPDATE auth.sessions AS s
       SET device_id = coalesce(s.device_id, device.id),
           last_used_at = greatest(s.last_used_at, $4)
      FROM device WHERE s.id = $5 AND s.user_id = $1 AND s.revoked_at IS NULL
 RETURNING s.id
), held AS (
    INSERT INTO auth.device_connections (device_id, node_id)
    SELECT device.id, $2 FROM device LEFT JOIN login ON true ON CONFLICT DO NOTHING
)
SELECT id, client_id, name, platform, last_seen_at FROM device
"""
"""Each part asks for the one before, so that rows are held in the order that `nodes` tells."""


async def register(
    work: UnitsOfWork, *, user_id: UserId, client_id: str, name: str, platform: str, most: int
) -> DeviceRead:
    """Register a device of one's own; a user may have `most`.

    Raises DeviceExists or TooManyDevices.
    """
    async with work.begin() as unit:
        await _hold_account(unit, user_id, client_id)
        device, made = await _find_or_make(unit, user_id, client_id, name, platform, most)
        if not made:
            raise DeviceExists(device_id=str(device.id))
        return DeviceRead.from_device(device, online=False, last_seen_at=device.last_seen_at)


async def connect(
    work: UnitsOfWork,
    *,
    node_id: UUID,
    user_id: UserId,
    session_id: UUID | None,
    client_id: str,
    name: str | None,
    platform: str | None,
    most: int,
) -> DeviceRead:
    """Note that a device has a socket on a node; one not seen before is registered on the spot.

    A login that was not made on a device belongs to this one from now on: it ends with it. A user
    may have `most` devices. Safe to repeat. Raises Unauthenticated where the account is gone, and
    TooManyDevices.
    """
    back = await _reconnect(work, node_id, user_id, session_id, client_id)
    if back is not None:
        return back
    async with work.begin() as unit:
        await _hold_account(unit, user_id, client_id)
        await nodes.introduce(unit, node_id)
        device, _ = await _find_or_make(
            unit, user_id, client_id, name or client_id, platform or "", most
        )
        device.last_seen_at = max(device.last_seen_at, unit.now)
        unit.add(device)
        if session_id is not None:
            await unit.session.exec(
                update(Session)
                .where(col(Session.id) == session_id, col(Session.user_id) == user_id)
                .where(col(Session.revoked_at).is_(None))
                .values(
                    device_id=func.coalesce(Session.device_id, device.id),
                    last_used_at=func.greatest(Session.last_used_at, unit.now),
                )
            )
        held = insert(DeviceConnection).values(device_id=device.id, node_id=node_id)
        await unit.session.exec(held.on_conflict_do_nothing())
        return DeviceRead.from_device(device, online=True, last_seen_at=device.last_seen_at)


async def _reconnect(
    work: UnitsOfWork, node_id: UUID, user_id: UserId, session_id: UUID | None, client_id: str
) -> DeviceRead | None:
    """Do the same for a device and a node that are known, in one statement; None: they are not.

    When a gateway goes, everybody it held comes back at once: this is what they wait for.
    """
    async with (await work.database.pool()).acquire() as connection:
        row = await connection.fetchrow(
            _RECONNECT, user_id, node_id, client_id, work.now(), session_id
        )
    return None if row is None else DeviceRead(**row, online=True)


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


async def disconnect(work: UnitsOfWork, *, node_id: UUID, user_id: UserId, device_id: UUID) -> None:
    """Note that a device has no socket on a node any more; it may have one on another.

    Safe to repeat, also for a device that was removed.
    """
    async with (await work.database.pool()).acquire() as connection, connection.transaction():
        # Two statements: the second must see what came while the first waited for the device.
        await connection.execute(
            "UPDATE auth.devices SET last_seen_at = greatest(last_seen_at, $3) "
            "WHERE id = $1 AND user_id = $2",
            device_id,
            user_id,
            work.now(),
        )
        await connection.execute(
            "DELETE FROM auth.device_connections WHERE device_id = $1 AND node_id = $2",
            device_id,
            node_id,
        )


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


async def _hold_account(unit: UnitOfWork, user_id: UserId, client_id: str) -> None:
    """Hold the account for `_find_or_make`: alone where a device is made, so that they are counted
    right, and together with others where it is there already, as nearly always.
    """
    if await _find(unit, user_id, client_id) is None:
        await access.own_account(unit, user_id, lock=True)
    else:
        await access.keep_account(unit, user_id)


async def _find_or_make(
    unit: UnitOfWork, user_id: UserId, client_id: str, name: str, platform: str, most: int
) -> tuple[Device, bool]:
    """Return the device, held, and whether it is new; right also when two connect at once."""
    if found := await _find(unit, user_id, client_id, lock=True):
        return found, False
    count = await unit.session.exec(
        select(func.count()).select_from(Device).where(Device.user_id == user_id)
    )
    if count.one() >= most:
        raise TooManyDevices(limit=most)
    made = await unit.session.exec(
        insert(Device)
        .values(
            id=uuid7(),
            user_id=user_id,
            client_id=client_id,
            name=name,
            platform=platform,
            created_at=unit.now,
            last_seen_at=unit.now,
        )
        # Removed since we looked, and made again by somebody else: rare enough.
        .on_conflict_do_nothing()
        .returning(col(Device.id))
    )
    new = made.scalar_one_or_none() is not None
    device = await _find(unit, user_id, client_id, lock=True)
    if device is None:
        raise NotFound
    if new:
        unit.emit(facts.DeviceRegistered(user_id=user_id, device_id=device.id, client_id=client_id))
    return device, new


async def _find(
    unit: UnitOfWork, user_id: UserId, client_id: str, *, lock: bool = False
) -> Device | None:
    statement = select(Device).where(Device.user_id == user_id, Device.client_id == client_id)
    if lock:
        statement = statement.with_for_update(key_share=True).execution_options(
            populate_existing=True
        )
    return (await unit.session.exec(statement)).one_or_none()
