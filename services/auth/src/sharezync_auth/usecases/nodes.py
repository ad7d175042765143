"""Gateway nodes: what each says of devices holds while its heartbeats come.

One row for each gateway process carries the lease of all its devices: a heartbeat costs one update
however many devices hang on it, and when a process dies without a word they go offline together.

Who takes hold of several rows does so in the order user, node, devices by id, sessions by id,
connections; a connection comes and goes only while its device is held. So nobody waits in a circle.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, NamedTuple
from uuid import UUID

from sqlalchemy import ScalarSelect
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col, func, select

from sharezync_auth.models import Device, DeviceConnection, GatewayNode
from sharezync_auth.schemas import DeviceRead
from sharezync_shared.db.work import UnitOfWork, UnitsOfWork
from sharezync_shared.ids import UserId

_PRESENCE: Final = """
SELECT
    device.user_id,
    coalesce(bool_or(node.heard_at > $2), false) AS online,
    max(greatest(device.last_seen_at, node.heard_at)) AS last_seen_at
FROM auth.devices AS device
LEFT JOIN auth.device_connections AS held ON held.device_id = device.id
LEFT JOIN auth.gateway_nodes AS node ON node.id = held.node_id
WHERE device.user_id = ANY($1)
GROUP BY device.user_id
"""

_HELD: Final = """
    SELECT count(*),
           coalesce(bit_xor(('x' || left(md5(device_id::text), 15))::bit(60)::bigint), 0)
      FROM auth.device_connections WHERE node_id = $1
"""


class ConnectedDevices(NamedTuple):
    """Which devices are held to be connected to a node.

    `digest` is the exclusive or of the first 60 bits of the MD5 of each id as text: it tells the
    node that they are other ones than it holds, where their number doesn't.
    """

    devices: int
    digest: int


async def beat(work: UnitsOfWork, *, node_id: UUID) -> ConnectedDevices:
    """Note that a node is alive; return which of its devices are held to be connected.

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
        return await _held(unit, node_id)


async def replace(
    work: UnitsOfWork,
    *,
    node_id: UUID,
    device_ids: Collection[UUID],
    after: UUID | None = None,
    up_to: UUID | None = None,
) -> ConnectedDevices:
    """Take over which devices a node holds, of those with ids in (`after`, `up_to`].

    None is no bound, so that a long list may come in pages. Returns what it holds now. For a
    node that was given up meanwhile, or whose word about a device was lost. Safe to repeat.
    """
    said = set(device_ids)
    async with work.begin() as unit:
        await introduce(unit, node_id)
        connection = await unit.raw()
        rows = await connection.fetch(
            "SELECT device_id FROM auth.device_connections WHERE node_id = $1 "
            "AND ($2::uuid IS NULL OR device_id > $2) AND ($3::uuid IS NULL OR device_id <= $3)",
            node_id,
            after,
            up_to,
        )
        held = {row["device_id"] for row in rows}
        gone, new = held - said, said - held
        # Only what differs is touched: a list that says nothing new costs one look.
        known = await _hold(unit, gone | new)
        await _seen(unit, gone, unit.now)
        await connection.execute(
            "DELETE FROM auth.device_connections WHERE node_id = $1 AND device_id = ANY($2)",
            node_id,
            list(gone),
        )
        await connection.execute(
            "INSERT INTO auth.device_connections (device_id, node_id) "
            "SELECT id, $2 FROM unnest($1::uuid[]) AS id ON CONFLICT DO NOTHING",
            # One that was removed meanwhile is passed over: its socket is about to close.
            list(new & known),
            node_id,
        )
        return await _held(unit, node_id)


async def leave(work: UnitsOfWork, *, node_id: UUID) -> None:
    """Forget a node that stops in good order; its devices are gone now. Safe to repeat."""
    async with work.begin() as unit:
        if await unit.get(GatewayNode, node_id, lock=True):
            await _drop(unit, node_id, unit.now)


async def introduce(unit: UnitOfWork, node_id: UUID) -> None:
    """Make a node known that may be new, and keep it from being forgotten until the commit.

    Its heartbeat alone prolongs the lease. Comes before any device is held.
    """
    connection = await unit.raw()
    # Again only if the node is being forgotten at this very moment.
    while not await connection.fetchval(
        "SELECT true FROM auth.gateway_nodes WHERE id = $1 FOR KEY SHARE", node_id
    ):
        await connection.execute(
            "INSERT INTO auth.gateway_nodes (id, heard_at) VALUES ($1, $2) ON CONFLICT DO NOTHING",
            node_id,
            unit.now,
        )


async def give_up(work: UnitsOfWork, *, silent_since: datetime) -> int:
    """Forget the nodes that were not heard of since then; return how many. Safe to repeat.

    Their devices were last seen when the node was last heard. Each node is a unit of its own:
    their devices together would not be held in order.
    """
    count = 0
    while await _give_up_one(work, silent_since):
        count += 1
    return count


async def _give_up_one(work: UnitsOfWork, silent_since: datetime) -> bool:
    async with work.begin() as unit:
        found = await unit.session.exec(
            select(GatewayNode)
            .where(GatewayNode.heard_at < silent_since)
            .limit(1)
            .with_for_update(skip_locked=True)
        )
        node = found.one_or_none()
        if node is not None:
            await _drop(unit, node.id, node.heard_at)
        return node is not None


def describe(
    device: Device, heard_at: datetime | None, now: datetime, lease_seconds: float
) -> DeviceRead:
    """Return a device as clients see it; `heard_at` is what `last_heard` found for it."""
    if heard_at is None:
        return DeviceRead.from_device(device, online=False, last_seen_at=device.last_seen_at)
    return DeviceRead.from_device(
        device,
        online=now - heard_at < timedelta(seconds=lease_seconds),
        last_seen_at=max(device.last_seen_at, heard_at),
    )


@dataclass(frozen=True, slots=True)
class PresenceRecord:
    """Whether any device of a user is online, and when one was seen last."""

    user_id: UserId
    online: bool
    last_seen_at: datetime


async def presence(
    work: UnitsOfWork, *, user_ids: Collection[UUID], lease_seconds: float
) -> list[PresenceRecord]:
    """Return the presence of those of `user_ids` who have devices, in no order.

    Agrees with what `describe` says of each device.
    """
    silent_since = work.now() - timedelta(seconds=lease_seconds)
    async with (await work.database.pool()).acquire() as connection:
        rows = await connection.fetch(_PRESENCE, list(user_ids), silent_since)
    return [
        PresenceRecord(UserId(row["user_id"]), row["online"], row["last_seen_at"]) for row in rows
    ]


def last_heard() -> ScalarSelect[datetime | None]:
    """Return, for a query over devices, when a node that holds the device was last heard of."""
    return (
        select(func.max(GatewayNode.heard_at))
        .join(DeviceConnection, col(DeviceConnection.node_id) == GatewayNode.id)
        .where(DeviceConnection.device_id == Device.id)
        .correlate(Device)
        .scalar_subquery()
    )


async def _drop(unit: UnitOfWork, node_id: UUID, at: datetime) -> None:
    """Forget a node that is held: nobody can connect a device to it any more."""
    connection = await unit.raw()
    rows = await connection.fetch(
        "SELECT device_id FROM auth.device_connections WHERE node_id = $1", node_id
    )
    await _seen(unit, await _hold(unit, [row["device_id"] for row in rows]), at)
    # Its connections go with it.
    await connection.execute("DELETE FROM auth.gateway_nodes WHERE id = $1", node_id)


async def _hold(unit: UnitOfWork, device_ids: Collection[UUID]) -> set[UUID]:
    """Hold these devices until the commit; return those that exist."""
    if not device_ids:
        return set()
    connection = await unit.raw()
    rows = await connection.fetch(
        "SELECT id FROM auth.devices WHERE id = ANY($1) ORDER BY id FOR NO KEY UPDATE",
        list(device_ids),
    )
    return {row["id"] for row in rows}


async def _seen(unit: UnitOfWork, device_ids: Collection[UUID], at: datetime) -> None:
    """Note when devices that are held were last seen."""
    if not device_ids:
        return
    connection = await unit.raw()
    await connection.execute(
        "UPDATE auth.devices SET last_seen_at = $2 WHERE id = ANY($1) AND last_seen_at < $2",
        list(device_ids),
        at,
    )


async def _held(unit: UnitOfWork, node_id: UUID) -> ConnectedDevices:
    connection = await unit.raw()
    row = await connection.fetchrow(_HELD, node_id)
    assert row is not None  # noqa: S101 - an aggregate has a row, always
    return ConnectedDevices(*row)
