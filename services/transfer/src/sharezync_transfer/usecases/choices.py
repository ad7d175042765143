"""Policies of devices, and what recipients have chosen about an offer.

The stream is locked before anything is written, as by offers before they read: what was offered to
somebody stands in their stream on the right side of what they had chosen.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from sqlmodel import col, select

from sharezync_shared.contracts.services import Services
from sharezync_shared.ids import DeviceId, UserId
from sharezync_shared.problems import NotFound
from sharezync_shared.streams.log import Connection
from sharezync_shared.streams.published import Published
from sharezync_shared.work import UnitsOfWork
from sharezync_transfer.models import USERS, DevicePolicy, Policy, transfers_stream
from sharezync_transfer.schemas import PolicyRead
from sharezync_transfer.usecases.context import TransferServiceContext

_POLICIES: Final = """
SELECT user_id, device_id, policy FROM transfer.policies
WHERE user_id = ANY($1) ORDER BY updated_at DESC, device_id
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
POLICIES_KEPT: Final = 1000
"""Of one user: more than they can have devices (auth's DEVICES_PER_USER)."""


@dataclass(frozen=True, slots=True)
class RecipientPolicies:
    """What the recipients of an offer have chosen: policies of devices, by user the latest first;
    who is `blocking` its sender, and whom the sender has `blocked`.
    """

    policies: dict[UUID, list[tuple[UUID, Policy]]]
    blocking: set[UUID]
    blocked: set[UUID]

    def of_device(self, user_id: UUID, device_id: UUID) -> Policy:
        return dict(self.policies.get(user_id, [])).get(device_id, "ask")

    def accepting(
        self, user_id: UUID, chosen: UUID | None, owned: Collection[tuple[UUID, UUID]]
    ) -> UUID | None:
        """Return the device that takes what acquaintances send: the chosen, or the latest."""
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
) -> RecipientPolicies:
    """Return what these people have chosen about what this sender offers them."""
    by_user: dict[UUID, list[tuple[UUID, Policy]]] = {}
    for user_id, device_id, policy in await connection.fetch(_POLICIES, list(recipients)):
        by_user.setdefault(user_id, []).append((device_id, policy))
    blocking, blocked = await USERS.blocks_with(connection, sender_id, recipients)
    return RecipientPolicies(by_user, blocking, blocked)


async def policies(work: UnitsOfWork, user_id: UserId) -> list[PolicyRead]:
    query = select(DevicePolicy).where(DevicePolicy.user_id == user_id)
    async with work.read() as unit:
        found = await unit.session.exec(query.order_by(col(DevicePolicy.device_id)))
        return [PolicyRead.model_validate(each) for each in found]


async def policy_of(
    context: TransferServiceContext, user_id: UserId, device_id: DeviceId
) -> PolicyRead:
    """Return the policy of one's device. Raises NotFound, Unavailable."""
    async with context.work.read() as unit:
        found = await unit.get(DevicePolicy, (user_id, device_id))
    if found is not None:
        return PolicyRead.model_validate(found)
    await _insist_on_device(context.services, user_id, device_id)
    return PolicyRead(device_id=device_id, policy="ask", updated_at=None)


async def set_policy(
    context: TransferServiceContext, user_id: UserId, device_id: DeviceId, policy: Policy
) -> Published[PolicyRead]:
    """Set the policy of one's device. Raises NotFound where it is not theirs, UserNotFound."""
    await _insist_on_device(context.services, user_id, device_id)
    async with context.work.begin() as unit:
        await USERS.keep(unit, [user_id])
        stream = transfers_stream(user_id)
        await unit.lock_streams(stream)
        connection = await unit.raw()
        await connection.execute(_PUT_POLICY, user_id, device_id, policy, unit.now)
        await connection.execute(_FORGET_POLICIES, user_id, POLICIES_KEPT)
        read = PolicyRead(device_id=device_id, policy=policy, updated_at=unit.now)
        return Published(read, await unit.publish_event(stream, "policy_updated", read))


async def _insist_on_device(services: Services, user_id: UserId, device_id: DeviceId) -> None:
    if not await services.auth.owned_devices([(user_id, device_id)]):
        raise NotFound
