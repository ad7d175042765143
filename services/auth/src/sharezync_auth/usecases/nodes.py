"""Gateway nodes: what each says of devices holds while its heartbeats come.

One row for each gateway process carries the lease of all its devices: a heartbeat costs one update
however many devices hang on it, and when a process dies without a word they go offline together.
"""

from collections.abc import Collection
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import ScalarSelect, delete
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col, func, select

from sharezync_auth.models import Device, DeviceConnection, GatewayNode
from sharezync_auth.wire import DeviceRead
from sharezync_shared.db.work import Unit, Work


async def beat(work: Work, *, node_id: UUID) -> int:
    """Note that a node is alive; return how many of its devices are held to be connected.

    A node that was given up, or never known, has none: it says again what it holds. Safe to repeat.
    """
    async with work.begin() as unit:
        row = insert(GatewayNode).values(id=node_id, heard_at=unit.now)
        await unit.session.exec(
            row.on_conflict_do_update(
                index_elements=["id"],
                # Two beats may overtake each other: a lease never becomes shorter.
                set_={"heard_at": func.greatest(GatewayNode.heard_at, row.excluded.heard_at)},
            )
        )
        return await _count(unit, node_id)


async def replace(
    work: Work,
    *,
    node_id: UUID,
    device_ids: Collection[UUID],
    after: UUID | None = None,
    up_to: UUID | None = None,
) -> int:
    """Take over which devices a node holds, of those with ids in (`after`, `up_to`].

    None is no bound, so that a long list may come in pages. Returns how many it holds now. For a
    node that was given up meanwhile, or whose word about a device was lost. Safe to repeat.
    """
    async with work.begin() as unit:
        await introduce(unit, node_id)
        connection = await unit.raw()
        dropped = await connection.fetch(
            "DELETE FROM auth.device_connections WHERE node_id = $1 AND device_id <> ALL($2) "
            "AND ($3::uuid IS NULL OR device_id > $3) AND ($4::uuid IS NULL OR device_id <= $4) "
            "RETURNING device_id",
            node_id,
            list(device_ids),
            after,
            up_to,
        )
        await _seen(unit, [row["device_id"] for row in dropped], unit.now)
        await connection.execute(
            # One that was removed meanwhile is passed over: its socket is about to close.
            "INSERT INTO auth.device_connections (device_id, node_id) "
            "SELECT id, $2 FROM auth.devices WHERE id = ANY($1) ORDER BY id FOR KEY SHARE "
            "ON CONFLICT DO NOTHING",
            list(device_ids),
            node_id,
        )
        return await _count(unit, node_id)


async def leave(work: Work, *, node_id: UUID) -> None:
    """Forget a node that stops in good order; its devices are gone now. Safe to repeat."""
    async with work.begin() as unit:
        await _drop(unit, node_id, unit.now)


async def introduce(unit: Unit, node_id: UUID) -> None:
    """Make a node known that may be new. Its heartbeat alone prolongs the lease."""
    row = insert(GatewayNode).values(id=node_id, heard_at=unit.now)
    await unit.session.exec(row.on_conflict_do_nothing())


async def give_up(work: Work, *, silent_since: datetime) -> int:
    """Forget the nodes that were not heard of since then; return how many. Safe to repeat.

    Their devices were last seen when the node was last heard.
    """
    async with work.begin() as unit:
        silent = await unit.session.exec(
            select(GatewayNode)
            .where(GatewayNode.heard_at < silent_since)
            .order_by(col(GatewayNode.id))
            .with_for_update(skip_locked=True)
        )
        nodes = silent.all()
        for node in nodes:
            await _drop(unit, node.id, node.heard_at)
        return len(nodes)


def describe(
    device: Device, heard_at: datetime | None, now: datetime, lease_seconds: float
) -> DeviceRead:
    """Return a device as clients see it; `heard_at` is what `last_heard` found for it."""
    if heard_at is None:
        return DeviceRead.of(device, online=False, last_seen_at=device.last_seen_at)
    return DeviceRead.of(
        device,
        online=now - heard_at < timedelta(seconds=lease_seconds),
        last_seen_at=max(device.last_seen_at, heard_at),
    )


def last_heard() -> ScalarSelect[datetime | None]:
    """Return, for a query over devices, when a node that holds the device was last heard of."""
    return (
        select(func.max(GatewayNode.heard_at))
        .join(DeviceConnection, col(DeviceConnection.node_id) == GatewayNode.id)
        .where(DeviceConnection.device_id == Device.id)
        .correlate(Device)
        .scalar_subquery()
    )


async def _drop(unit: Unit, node_id: UUID, at: datetime) -> None:
    held = await unit.session.exec(
        select(DeviceConnection.device_id).where(DeviceConnection.node_id == node_id)
    )
    await _seen(unit, held.all(), at)
    await unit.session.exec(delete(GatewayNode).where(col(GatewayNode.id) == node_id))


async def _seen(unit: Unit, device_ids: Collection[UUID], at: datetime) -> None:
    if not device_ids:
        return
    connection = await unit.raw()
    await connection.execute(
        "WITH held AS (SELECT id FROM auth.devices WHERE id = ANY($1) ORDER BY id FOR UPDATE) "
        "UPDATE auth.devices AS d SET last_seen_at = greatest(d.last_seen_at, $2) "
        "FROM held WHERE d.id = held.id",
        list(device_ids),
        at,
    )


async def _count(unit: Unit, node_id: UUID) -> int:
    found = await unit.session.exec(
        select(func.count())
        .select_from(DeviceConnection)
        .where(DeviceConnection.node_id == node_id)
    )
    return found.one()
