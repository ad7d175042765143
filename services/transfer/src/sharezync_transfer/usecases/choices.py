"""What people want to be sent: policies of their devices, and people they want nothing from.

Each change is told in the stream of whose choice it is, for their other devices, and to nobody
else. The stream is held before anything is written, as by offers before they look: what was
offered to somebody stands in their stream on the right side of what they had chosen.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from sqlmodel import col, select

from sharezync_shared.db.work import Unit, Work, to_json
from sharezync_shared.ids import DeviceId, UserId
from sharezync_shared.problems import Invalid, NotFound
from sharezync_shared.streams.log import Connection, Entry
from sharezync_shared.streams.told import Told
from sharezync_transfer.models import Block, DevicePolicy, Policy, transfers_stream
from sharezync_transfer.usecases import people
from sharezync_transfer.usecases.peers import Peers
from sharezync_transfer.usecases.wire import BlockRead, PolicyRead, Unblocked

_POLICIES: Final = """
SELECT user_id, device_id, policy FROM transfer.policies
WHERE user_id = ANY($1) ORDER BY updated_at DESC, device_id
"""
_BLOCKING: Final = """
SELECT user_id FROM transfer.blocks WHERE user_id = ANY($1) AND blocked_id = $2
"""
_PUT_POLICY: Final = """
INSERT INTO transfer.policies (user_id, device_id, policy, updated_at) VALUES ($1, $2, $3, $4)
ON CONFLICT (user_id, device_id) DO UPDATE SET policy = $3, updated_at = $4
"""
# Devices go without a word to us: what was said of those that are no more would stay for ever.
_FORGET_POLICIES: Final = """
DELETE FROM transfer.policies WHERE user_id = $1 AND device_id IN (
    SELECT device_id FROM transfer.policies WHERE user_id = $1
    ORDER BY updated_at DESC, device_id OFFSET $2)
"""
_POLICIES_KEPT: Final = 1000
"""Of one user: more than they can have devices (auth's DEVICES_PER_USER)."""
_PUT_BLOCK: Final = """
INSERT INTO transfer.blocks (user_id, blocked_id, blocked_at) VALUES ($1, $2, $3)
ON CONFLICT DO NOTHING RETURNING true
"""
_DROP_BLOCK: Final = """
DELETE FROM transfer.blocks WHERE user_id = $1 AND blocked_id = $2 RETURNING true
"""


@dataclass(frozen=True, slots=True)
class Choices:
    """What the recipients of an offer have chosen, as far as it concerns it.

    `policies` are those of devices, by user the latest first; `blocking` those who want nothing
    from its sender.
    """

    policies: dict[UUID, list[tuple[UUID, Policy]]]
    blocking: set[UUID]

    def of_device(self, user_id: UUID, device_id: UUID) -> Policy:
        """Return the policy of somebody's device."""
        return dict(self.policies.get(user_id, [])).get(device_id, "ask")

    def accepting(
        self, user_id: UUID, chosen: UUID | None, owned: Collection[tuple[UUID, UUID]]
    ) -> UUID | None:
        """Return the device that takes what acquaintances send: the chosen one, or the latest.

        Only one that is still theirs.
        """
        takes = (
            device_id
            for device_id, policy in self.policies.get(user_id, [])
            if policy == "accept_known"
            and chosen in (None, device_id)
            and (user_id, device_id) in owned
        )
        return next(takes, None)


async def concerning(
    connection: Connection, sender_id: UserId, recipients: Collection[UUID]
) -> Choices:
    """Return what these people have chosen about what this sender offers them."""
    by_user: dict[UUID, list[tuple[UUID, Policy]]] = {}
    for user_id, device_id, policy in await connection.fetch(_POLICIES, list(recipients)):
        by_user.setdefault(user_id, []).append((device_id, policy))
    blocking = await connection.fetch(_BLOCKING, list(recipients), sender_id)
    return Choices(by_user, {user_id for (user_id,) in blocking})


async def policies(work: Work, *, user_id: UserId) -> Sequence[DevicePolicy]:
    """List the policies that somebody has set, by device."""
    async with work.read() as unit:
        found = await unit.session.exec(
            select(DevicePolicy)
            .where(DevicePolicy.user_id == user_id)
            .order_by(col(DevicePolicy.device_id))
        )
        return found.all()


async def policy_of(
    work: Work, peers: Peers, *, user_id: UserId, device_id: DeviceId
) -> DevicePolicy | None:
    """Return the policy of one's device; None: nothing was set. Raises NotFound, Unavailable."""
    async with work.read() as unit:
        found = await unit.get(DevicePolicy, (user_id, device_id))
    if found is None:
        await _insist_on_device(peers, user_id, device_id)
    return found


async def set_policy(
    work: Work, peers: Peers, *, user_id: UserId, device_id: DeviceId, policy: Policy
) -> Told[DevicePolicy]:
    """Say what becomes of offers to one's device; said again, it is the latest.

    The user must be known. Raises NotFound where the device is not theirs, UserNotFound.
    """
    await _insist_on_device(peers, user_id, device_id)
    async with work.begin() as unit:
        await people.insist(unit, [user_id])
        stream = transfers_stream(user_id)
        await unit.lock_streams(stream)
        connection = await unit.raw()
        await connection.execute(_PUT_POLICY, user_id, device_id, policy, unit.now)
        await connection.execute(_FORGET_POLICIES, user_id, _POLICIES_KEPT)
        put = DevicePolicy(user_id=user_id, device_id=device_id, policy=policy, updated_at=unit.now)
        return Told(put, await unit.tell(stream, "policy_updated", PolicyRead.of(put)))


async def blocked(
    work: Work, *, user_id: UserId, after: UUID | None, limit: int
) -> Sequence[Block]:
    """List whom somebody has blocked, by id, those after `after`."""
    query = select(Block).where(Block.user_id == user_id).order_by(col(Block.blocked_id))
    if after is not None:
        query = query.where(col(Block.blocked_id) > after)
    async with work.read() as unit:
        return (await unit.session.exec(query.limit(limit))).all()


async def block_of(work: Work, *, user_id: UserId, blocked_id: UserId) -> Block:
    """Return since when somebody is blocked. Raises NotFound for who isn't."""
    async with work.read() as unit:
        found = await unit.get(Block, (user_id, blocked_id))
    if found is None:
        raise NotFound
    return found


async def block(work: Work, peers: Peers, *, user_id: UserId, blocked_id: UserId) -> Told[Block]:
    """Want nothing from somebody from now on; returns since when. They don't notice.

    What they had offered before stays. Safe to repeat. Raises Invalid for oneself, UserNotFound.
    """
    if blocked_id == user_id:
        raise Invalid("Nobody can block themselves")
    await people.require(work, peers, [blocked_id])
    async with work.begin() as unit:
        await people.insist(unit, [user_id, blocked_id])
        stream = transfers_stream(user_id)
        await unit.lock_streams(stream)
        connection = await unit.raw()
        put = Block(user_id=user_id, blocked_id=blocked_id, blocked_at=unit.now)
        if await connection.fetchval(_PUT_BLOCK, user_id, blocked_id, unit.now):
            return Told(put, await unit.tell(stream, "user_blocked", BlockRead.of(put)))
        return Told(await unit.get(Block, (user_id, blocked_id)) or put)


async def unblock(work: Work, *, user_id: UserId, blocked_id: UserId) -> Told[None]:
    """Take offers from somebody again; what they offered meanwhile stays unseen. Repeatable."""
    async with work.begin() as unit:
        stream = transfers_stream(user_id)
        await unit.lock_streams(stream)
        connection = await unit.raw()
        if not await connection.fetchval(_DROP_BLOCK, user_id, blocked_id):
            return Told(None)
        return Told(None, await unit.tell(stream, "user_unblocked", Unblocked(user_id=blocked_id)))


async def blockers_of(unit: Unit, user_id: UserId) -> list[UUID]:
    """Return who wants nothing from somebody. Nobody joins them once the somebody is deleted."""
    found = await unit.session.exec(select(Block.user_id).where(Block.blocked_id == user_id))
    return list(found)


async def forget(unit: Unit, user_id: UserId) -> None:
    """Drop all that somebody chose, and all that was chosen about them: those who did hear of it.

    The streams of `blockers_of` this user must be held. Safe to repeat.
    """
    connection = await unit.raw()
    for table in ("policies", "blocks"):
        await connection.execute(f"DELETE FROM transfer.{table} WHERE user_id = $1", user_id)  # noqa: S608 - one of these two
    freed = await connection.fetch(
        "DELETE FROM transfer.blocks WHERE blocked_id = $1 RETURNING user_id", user_id
    )
    gone = to_json(Unblocked(user_id=user_id))
    streams = sorted(transfers_stream(row["user_id"]) for row in freed)
    await unit.tell_all([Entry(stream, "user_unblocked", gone) for stream in streams])


async def _insist_on_device(peers: Peers, user_id: UserId, device_id: DeviceId) -> None:
    if not await peers.owned_devices([(user_id, device_id)]):
        raise NotFound
