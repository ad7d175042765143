"""What a gateway asks before it moves chunks for somebody."""

from sharezync_shared.work import UnitsOfWork
from sharezync_transfer import access
from sharezync_transfer.access import Actor
from sharezync_transfer.models import TransferId
from sharezync_transfer.usecases.acting import held_by
from sharezync_transfer.usecases.attachments import Participation


async def attach(work: UnitsOfWork, *, actor: Actor, transfer_id: TransferId) -> Participation:
    """Return what the actor is to a transfer, and where its chunks go. Raises NotFound."""
    async with work.read() as unit:
        whole = await access.transfer_to_see(unit, actor, transfer_id)
        return Participation.from_aggregate(whole, actor, await held_by(unit, whole, actor))
