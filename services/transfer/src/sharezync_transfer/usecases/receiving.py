"""What a recipient without a socket confirms: the same as a `chunk_ack`, and answered."""

from uuid import UUID

from sharezync_shared.problems import Forbidden, Invalid
from sharezync_shared.ranges import Ranges
from sharezync_shared.work import UnitsOfWork
from sharezync_transfer import access, states
from sharezync_transfer.access import Actor, TransferAggregate
from sharezync_transfer.errors import NotInThisState, TransferOver
from sharezync_transfer.models import TransferId
from sharezync_transfer.schemas import RecipientRead
from sharezync_transfer.usecases import progress
from sharezync_transfer.usecases.commands import receipts
from sharezync_transfer.usecases.progress_broadcast import ProgressBroadcast


async def confirm(
    work: UnitsOfWork,
    broadcaster: ProgressBroadcast,
    *,
    actor: Actor,
    transfer_id: TransferId,
    file: int,
    ranges: Ranges,
) -> RecipientRead:
    """Note that a recipient holds these chunks of a file; return how far they are then.

    May be repeated, also once all has come. Raises NotFound, Forbidden, Invalid for a file that
    they did not accept, NotInThisState before they accept, and TransferOver.
    """
    async with work.read() as unit:
        whole = await access.transfer_to_see(unit, actor, transfer_id)
        if whole.role_of(actor) == "sender":
            raise Forbidden("Only recipients can report received chunks")
        _check(whole, actor)
        accepted = await receipts(unit, transfer_id, actor.user_id)
    if file not in {receipt.file_index for receipt in accepted}:
        raise Invalid("`file` isn't an accepted file")
    await progress.report(
        work, broadcaster, actor=actor, transfer_id=transfer_id, stored={}, received={file: ranges}
    )
    async with work.read() as unit:
        whole = await access.transfer_to_see(unit, actor, transfer_id)
        _check(whole, actor)  # it may have ended meanwhile: then nothing was noted
        return _own(whole, actor.user_id)


def _check(whole: TransferAggregate, actor: Actor) -> None:
    state = _own(whole, actor.user_id).state
    if state == "offered":
        raise NotInThisState("Accept the transfer first", state=state)
    if state in states.FINAL - {"completed"}:
        raise TransferOver(f"The transfer is {state}", state=state)


def _own(whole: TransferAggregate, user_id: UUID) -> RecipientRead:
    recipient = whole.recipient(user_id)
    assert recipient is not None  # noqa: S101 - whose role was looked at before
    return RecipientRead.model_validate(recipient)
