"""Who may do what: the only doors to transfers on behalf of a user.

| | sees | accepts, rejects | pauses, resumes, cancels | completes |
|---|---|---|---|---|
| sender | everything | – | for all recipients | yes |
| recipient | their own part | yes | for themselves | – |
| anybody else | nothing: 404 | | | |

Recipients who have blocked the sender are anybody else: the offer is `hidden` from them.
Somebody who sends to another device of their own is both: the device decides which of the two
speaks.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from sqlmodel import col, select

from sharezync_shared.ids import DeviceId, UserId
from sharezync_shared.problems import Forbidden, NotFound
from sharezync_shared.work import UnitOfWork
from sharezync_transfer.models import Recipient, Transfer, TransferFile, TransferId

Role = Literal["sender", "recipient"]


@dataclass(frozen=True, slots=True)
class Actor:
    """Somebody who does something, on a device if it is known.

    `role` is set where they showed a capability token for it alone: then they are nothing else.
    """

    user_id: UserId
    device_id: DeviceId | None = None
    role: Role | None = None


@dataclass(frozen=True, slots=True)
class TransferAggregate:
    transfer: Transfer
    files: list[TransferFile]
    recipients: list[Recipient]

    def recipient(self, user_id: UUID) -> Recipient | None:
        """Return this user as a recipient, if they are one that knows of it."""
        found = (each for each in self.recipients if each.user_id == user_id and not each.hidden)
        return next(found, None)

    def role_of(self, actor: Actor) -> Role:
        """Return what the actor is to this transfer. Raises NotFound for strangers."""
        return role_in(self.transfer, self.recipient(actor.user_id), actor)

    def own_part(self, actor: Actor) -> Recipient:
        """Return the actor as a recipient. Raises NotFound for strangers, Forbidden for senders."""
        recipient = self.recipient(actor.user_id)
        if recipient is None or self.role_of(actor) == "sender":
            raise Forbidden("Only recipients can do this")
        return recipient


def role_in(transfer: Transfer, recipient: Recipient | None, actor: Actor) -> Role:
    """Return what the actor, who may be `recipient`, is to a transfer. Raises NotFound."""
    if recipient is not None and recipient.hidden:
        recipient = None
    sends = transfer.sender_id == actor.user_id
    if not sends and recipient is None:
        raise NotFound
    if actor.role is not None:
        if not (sends if actor.role == "sender" else recipient is not None):
            raise NotFound
        return actor.role
    if not sends:
        return "recipient"
    if recipient is None or actor.device_id is None:
        return "sender"
    return "recipient" if recipient.device_id == actor.device_id else "sender"


async def transfer_to_see(
    unit: UnitOfWork, actor: Actor, transfer_id: TransferId
) -> TransferAggregate:
    """Return a transfer to its sender or one of its recipients. Raises NotFound."""
    found = await load(unit, [transfer_id])
    if not found:
        raise NotFound
    found[0].role_of(actor)
    return found[0]


async def transfer_to_change(
    unit: UnitOfWork, actor: Actor, transfer_id: TransferId
) -> TransferAggregate:
    """Return a transfer to its sender or one of its recipients, held. Raises NotFound."""
    transfer = await lock(unit, transfer_id)
    (whole,) = await _wholes(unit, [transfer])
    whole.role_of(actor)
    return whole


async def lock(unit: UnitOfWork, transfer_id: TransferId) -> Transfer:
    """Hold a transfer until the commit and return it. Raises NotFound."""
    transfer = await unit.get(Transfer, transfer_id, lock=True)
    if transfer is None:
        raise NotFound
    return transfer


async def load(unit: UnitOfWork, transfer_ids: Sequence[UUID]) -> list[TransferAggregate]:
    """Return those of these transfers that exist, in the order given, on nobody's behalf."""
    found = await unit.session.exec(select(Transfer).where(col(Transfer.id).in_(transfer_ids)))
    by_id = {each.id: each for each in found}
    return await _wholes(unit, [by_id[each] for each in transfer_ids if each in by_id])


async def files_of(unit: UnitOfWork, transfer_ids: Sequence[UUID]) -> list[TransferFile]:
    """Return the files of these transfers, of each in the order of their indexes."""
    files = await unit.session.exec(
        select(TransferFile)
        .where(col(TransferFile.transfer_id).in_(transfer_ids))
        .order_by(col(TransferFile.transfer_id), col(TransferFile.index))
    )
    return list(files)


async def _wholes(unit: UnitOfWork, transfers: Sequence[Transfer]) -> list[TransferAggregate]:
    ids = [each.id for each in transfers]
    files = await files_of(unit, ids)
    recipients = await unit.session.exec(
        select(Recipient)
        .where(col(Recipient.transfer_id).in_(ids))
        .order_by(col(Recipient.transfer_id), col(Recipient.user_id))
    )
    wholes = {each.id: TransferAggregate(each, [], []) for each in transfers}
    for file in files:
        wholes[file.transfer_id].files.append(file)
    for recipient in recipients:
        wholes[recipient.transfer_id].recipients.append(recipient)
    return list(wholes.values())
