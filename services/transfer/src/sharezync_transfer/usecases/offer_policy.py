"""What becomes of an offer before any of its recipients looks at it.

Who has blocked the sender never gets it, and looks as who has no device and never answers. A chosen
device with the policy `block` rejects; one with `accept_known` accepts what acquaintances send.
Else the offer waits, if not too many do.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from uuid import UUID

from sharezync_shared.ids import UserId
from sharezync_shared.problems import Invalid
from sharezync_shared.streams.log import Connection
from sharezync_shared.work import UnitOfWork
from sharezync_transfer.access import TransferAggregate
from sharezync_transfer.errors import (
    RecipientIsBlocked,
    TooManyFiles,
    TooManyOffers,
    TooManyTransfers,
)
from sharezync_transfer.models import Recipient, Transfer
from sharezync_transfer.schemas import RecipientChoice
from sharezync_transfer.settings import TransferSettings
from sharezync_transfer.usecases import acquaintances, choices
from sharezync_transfer.usecases.choices import RecipientPolicies
from sharezync_transfer.usecases.commands import take
from sharezync_transfer.usecases.context import TransferServiceContext
from sharezync_transfer.usecases.transitions import move

_STRANGERS_SHARE: Final = 0.5
"""How much of the room for strangers one of them may fill: nobody alone keeps all others out."""

_OF_SENDER: Final = """
SELECT count(*) FILTER (WHERE state = 'offered') AS pending, count(*) AS open,
       coalesce(sum(file_count), 0) AS files
FROM transfer.transfers WHERE sender_id = $1 AND ended_at IS NULL
"""
# What is hidden from a recipient counts as what they leave unanswered, for everybody: by a limit
# nobody can see that they are blocked, nor a friend of theirs.
_TO_RECIPIENTS: Final = """
SELECT r.user_id, count(*) AS pending, count(*) FILTER (WHERE r.stranger) AS strangers,
       count(*) FILTER (WHERE r.stranger AND t.sender_id = $1) AS own
FROM transfer.recipients AS r JOIN transfer.transfers AS t ON t.id = r.transfer_id
WHERE r.user_id = ANY($2::uuid[]) AND r.state = 'offered'
GROUP BY r.user_id
ORDER BY r.user_id
"""


@dataclass(slots=True)
class OfferPolicy:
    """How one offer is met. Made by `prepare`; the rest in the transaction that makes the offer."""

    settings: TransferSettings
    sender_id: UserId
    to: Sequence[RecipientChoice]
    known: set[UUID]
    """Who knows the sender."""
    owned: set[tuple[UUID, UUID]]
    """Devices, each after its user, that are theirs at auth."""
    _choices: RecipientPolicies = field(default_factory=lambda: RecipientPolicies({}, set(), set()))

    async def check(self, connection: Connection) -> None:
        """Read what the recipients have chosen, and raise as `check_limits` where too many wait.

        Hold the streams of the sender and the recipients: nobody else may count at the same time.
        """
        users = [each.user_id for each in self.to]
        self._choices = await choices.concerning(connection, self.sender_id, users)
        await self.check_limits(connection)

    async def check_limits(self, connection: Connection) -> None:
        """Raise TooManyOffers, TooManyTransfers, TooManyFiles or RecipientIsBlocked."""
        if self._choices.blocked:
            raise RecipientIsBlocked(user_ids=sorted(map(str, self._choices.blocked)))
        settings = self.settings
        waiting = {
            each.user_id for each in self.to if not self._refuses(each.user_id, each.device_id)
        }
        strangers = waiting - self.known
        ((pending, opened, files),) = await connection.fetch(_OF_SENDER, self.sender_id)
        if pending >= settings.offers_per_sender:
            raise TooManyOffers(
                f"{pending} of your offers wait for an answer", of="sender",
                limit=settings.offers_per_sender, pending=pending,
            )  # fmt: skip
        if opened >= settings.transfers_per_sender:
            raise TooManyTransfers(limit=settings.transfers_per_sender, open=opened)
        if files >= settings.transfer_files_per_sender:
            raise TooManyFiles(limit=settings.transfer_files_per_sender)
        share = max(1, int(settings.offers_from_strangers * _STRANGERS_SHARE))
        found = await connection.fetch(_TO_RECIPIENTS, self.sender_id, list(waiting))
        for user_id, pending, of_strangers, own in found:
            limits = [
                ("A recipient has many offers that wait for an answer",
                 pending, settings.offers_per_recipient),
            ]  # fmt: skip
            if user_id in strangers:
                limits = [
                    ("The recipient hasn't answered your earlier offers yet", own, share),
                    ("A recipient has many offers from people they don't know",
                     of_strangers, settings.offers_from_strangers),
                    *limits,
                ]  # fmt: skip
            for reason, count, limit in limits:
                if count >= limit:
                    user = str(user_id)
                    raise TooManyOffers(
                        reason, of="recipient", user_id=user, limit=limit, pending=count
                    )

    def recipients(self, transfer: Transfer, now: datetime) -> list[Recipient]:
        """Return the rows of the recipients, to whom it is offered as yet."""
        return [
            Recipient(
                transfer_id=transfer.id,
                user_id=each.user_id,
                device_id=each.device_id,
                state="offered",
                stranger=each.user_id not in self.known,
                hidden=each.user_id in self._choices.blocking,
                updated_at=now,
            )
            for each in sorted(self.to, key=lambda each: each.user_id)  # as `access` reads
        ]

    async def answer(self, unit: UnitOfWork, whole: TransferAggregate) -> list[Recipient]:
        """Accept and reject for those whose devices do so by themselves; return them."""
        return [each for each in whole.recipients if await self._answers(unit, whole, each)]

    async def _answers(
        self, unit: UnitOfWork, whole: TransferAggregate, recipient: Recipient
    ) -> bool:
        if recipient.hidden:
            return False
        if self._refuses(recipient.user_id, recipient.device_id):
            return move(unit, recipient, "reject")
        device_id = None
        if recipient.user_id in self.known:
            device_id = self._choices.accepting(recipient.user_id, recipient.device_id, self.owned)
        if device_id is None:
            return False
        move(unit, recipient, "accept")
        await take(unit, whole, recipient, [file.index for file in whole.files], device_id)
        return True

    def _refuses(self, user_id: UUID, device_id: UUID | None) -> bool:
        if device_id is None:
            return False
        return self._choices.of_device(user_id, device_id) == "block"


async def prepare(
    context: TransferServiceContext, sender_id: UserId, to: Sequence[RecipientChoice]
) -> OfferPolicy:
    """Ask others what must be known before a transaction begins.

    Raises Invalid for a chosen device that is not its recipient's, as `OfferPolicy.check_limits`,
    and Unavailable where a device must be asked about and auth is away.
    """
    work, services = context.work, context.services
    users = [each.user_id for each in to]
    known = await acquaintances.among(work, services, sender_id, users)
    pool = await work.database.pool()
    async with pool.acquire() as connection:
        chosen = await choices.concerning(connection, sender_id, users)
    asked: set[tuple[UUID, UUID]] = {
        (each.user_id, each.device_id) for each in to if each.device_id is not None
    }
    accepting = {
        (user_id, device_id)
        for user_id, policies in chosen.policies.items()
        for device_id, policy in policies
        if policy == "accept_known" and user_id in known
    }
    owned = await services.auth.owned_devices(asked | accepting) if asked | accepting else set()
    # Who has blocked the sender shows them no device (auth), so that none is found here.
    hidden = {each for each in asked if each[0] in chosen.blocking}
    if strangers := asked - (owned - hidden):
        user_id, device_id = min(strangers)
        raise Invalid(f"The device {device_id} doesn't belong to the user {user_id}")
    offer = OfferPolicy(context.settings, sender_id, to, known, owned, chosen)
    async with pool.acquire() as connection:
        await offer.check_limits(connection)  # as `check` does again: this is before what costs
    return offer
