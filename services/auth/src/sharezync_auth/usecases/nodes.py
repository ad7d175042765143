"""Gateway nodes: which devices are connected to each, for as long as its updates come.

One row for each gateway process carries the lease of all its devices. A node numbers its updates:
each names an earlier one and has what changed since; a snapshot, which names none, has all.
Accepted is what has a higher number than all before and follows one that is known (decision 0030).

Rows are locked in the order user, node, devices by id, sessions by id, connections; a connection
comes and goes only while its device is locked. So there are no deadlocks.
"""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import ScalarSelect
from sqlmodel import col, func, select

from sharezync_auth.models import Device, DeviceConnection, GatewayNode
from sharezync_auth.schemas import DeviceRead
from sharezync_auth.settings import AuthSettings
from sharezync_shared.contracts.auth import NodeUpdate, Presence
from sharezync_shared.streams.log import Connection
from sharezync_shared.work import UnitsOfWork

_ACCEPT_CHANGES: Final = """
UPDATE auth.gateway_nodes SET seq = $2, heard_at = greatest(heard_at, $3)
 WHERE id = $1 AND seq < $2 AND seq >= $4
RETURNING true
"""
_ACCEPT_SNAPSHOT: Final = """
INSERT INTO auth.gateway_nodes AS node (id, seq, heard_at) VALUES ($1, $2, $3)
    ON CONFLICT (id) DO UPDATE
   SET seq = excluded.seq, heard_at = greatest(node.heard_at, excluded.heard_at)
 WHERE node.seq < excluded.seq
RETURNING true
"""
_SILENT_NODE: Final = """
SELECT id, heard_at FROM auth.gateway_nodes WHERE heard_at < $1 LIMIT 1 FOR UPDATE SKIP LOCKED
"""
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


async def update(work: UnitsOfWork, *, node_id: UUID, change: NodeUpdate) -> tuple[int, bool]:
    """Take over what has changed at a node, and extend its lease. Safe to repeat, in any order.

    Returns the number of the last update that was accepted, and whether this was accepted.
    """
    now = work.now()
    async with (await work.database.pool()).acquire() as connection, connection.transaction():
        if change.after:
            accept, what = _ACCEPT_CHANGES, [node_id, change.seq, now, change.after]
        else:
            accept, what = _ACCEPT_SNAPSHOT, [node_id, change.seq, now]
        if not await connection.fetchval(accept, *what):
            known = "SELECT seq FROM auth.gateway_nodes WHERE id = $1"
            return await connection.fetchval(known, node_id) or 0, False
        connected, disconnected = set(change.connected), set(change.disconnected)
        if not change.after:
            disconnected = await _connected(connection, node_id) - connected
        if connected or disconnected:
            # One that was deleted meanwhile is ignored: its socket is about to close.
            devices = await _lock(connection, connected | disconnected)
            await connection.execute(
                "INSERT INTO auth.device_connections (device_id, node_id) "
                "SELECT id, $2 FROM unnest($1::uuid[]) AS id ON CONFLICT DO NOTHING",
                list(connected & devices),
                node_id,
            )
            await _disconnect(connection, node_id, disconnected, now)
    return change.seq, True


async def give_up(work: UnitsOfWork, *, silent_since: datetime) -> int:
    """Forget the nodes without an update since then; return how many had devices. Repeatable.

    Each node is a transaction of its own: the devices of several would not be locked in order.
    """
    count = 0
    pool = await work.database.pool()
    while True:
        async with pool.acquire() as connection, connection.transaction():
            node = await connection.fetchrow(_SILENT_NODE, silent_since)
            if node is None:
                return count
            devices = await _connected(connection, node["id"])
            await _lock(connection, devices)
            await _disconnect(connection, node["id"], devices, node["heard_at"])
            await connection.execute("DELETE FROM auth.gateway_nodes WHERE id = $1", node["id"])
            count += bool(devices)


def describe(
    settings: AuthSettings, device: Device, heard_at: datetime | None, now: datetime
) -> DeviceRead:
    """Return a device as clients see it; `heard_at` is what `last_heard` found for it."""
    lease = timedelta(seconds=settings.device_lease_seconds)
    online = heard_at is not None and now - heard_at < lease
    last_seen_at = max(device.last_seen_at, heard_at or device.last_seen_at)
    return DeviceRead(**device.model_dump() | {"online": online, "last_seen_at": last_seen_at})


async def presence(
    work: UnitsOfWork, *, user_ids: Collection[UUID], lease_seconds: float
) -> Presence:
    """Return the presence of users. Agrees with what `describe` says of each device."""
    silent_since = work.now() - timedelta(seconds=lease_seconds)
    pool = await work.database.pool()
    rows = await pool.fetch(_PRESENCE, list(user_ids), silent_since)
    return Presence(
        online=[row["user_id"] for row in rows if row["online"]],
        last_seen={row["user_id"]: row["last_seen_at"] for row in rows},
    )


def last_heard() -> ScalarSelect[datetime | None]:
    """Return, for a query over devices, when a node of the device last sent an update."""
    return (
        select(func.max(GatewayNode.heard_at))
        .join(DeviceConnection, col(DeviceConnection.node_id) == GatewayNode.id)
        .where(DeviceConnection.device_id == Device.id)
        .correlate(Device)
        .scalar_subquery()
    )


async def _connected(connection: Connection, node_id: UUID) -> set[UUID]:
    rows = await connection.fetch(
        "SELECT device_id FROM auth.device_connections WHERE node_id = $1", node_id
    )
    return {row["device_id"] for row in rows}


async def _lock(connection: Connection, device_ids: Collection[UUID]) -> set[UUID]:
    """Lock these devices until the commit; return those that exist."""
    rows = await connection.fetch(
        "SELECT id FROM auth.devices WHERE id = ANY($1) ORDER BY id FOR NO KEY UPDATE",
        list(device_ids),
    )
    return {row["id"] for row in rows}


async def _disconnect(
    connection: Connection, node_id: UUID, device_ids: Collection[UUID], at: datetime
) -> None:
    """Disconnect devices, which are locked, from a node that last saw them at this time."""
    if not device_ids:
        return
    ids = list(device_ids)
    await connection.execute(
        "DELETE FROM auth.device_connections WHERE node_id = $1 AND device_id = ANY($2)",
        node_id,
        ids,
    )
    await connection.execute(
        "UPDATE auth.devices SET last_seen_at = $2 WHERE id = ANY($1) AND last_seen_at < $2",
        ids,
        at,
    )
