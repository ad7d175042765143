"""What auth does when other services say that something happened."""

from sharezync_auth.usecases import blocks
from sharezync_shared.db.work import Unit
from sharezync_shared.events.contracts.transfer import BlockKept
from sharezync_shared.ids import UserId


async def on_block_kept(unit: Unit, event: BlockKept) -> None:
    """Take over a block from before auth kept them. Repeatable: it is there already."""
    await blocks.take_over(
        unit,
        user_id=UserId(event.user_id),
        blocked_id=UserId(event.blocked_id),
        blocked_at=unit.caused_at,
    )
