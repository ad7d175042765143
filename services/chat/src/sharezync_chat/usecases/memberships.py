"""The channels that somebody is in, and everything a client needs at first."""

from collections.abc import Sequence
from uuid import UUID

from sharezync_chat.models import channel_stream, inbox_stream
from sharezync_chat.schemas import MembershipRead, SyncRead
from sharezync_chat.usecases import reads
from sharezync_shared.ids import UserId
from sharezync_shared.streams.log import Connection
from sharezync_shared.work import UnitsOfWork


async def page(
    work: UnitsOfWork, *, user_id: UserId, before: UUID | None, limit: int
) -> Sequence[MembershipRead]:
    """List the user's channels, those made last first, those made before `before`."""
    async with work.read() as unit:
        return await reads.memberships(
            await unit.raw(),
            "WHERE m.user_id = $1 AND ($2::uuid IS NULL OR m.channel_id < $2) "
            "ORDER BY m.channel_id DESC LIMIT $3",
            user_id,
            before,
            limit,
        )


async def sync(work: UnitsOfWork, *, user_id: UserId) -> SyncRead:
    """Return the heads of the user's streams and the state they are the heads of.

    Both are of one moment: whoever applies every event after these heads to this state misses
    nothing and applies nothing twice.
    """
    async with work.read() as unit:
        connection = await unit.raw()
        found = await reads.memberships(
            connection, "WHERE m.user_id = $1 ORDER BY m.channel_id DESC", user_id
        )
        streams = [inbox_stream(user_id), *(channel_stream(each.channel.id) for each in found)]
        heads = await work.log.heads(connection, streams)
    return SyncRead(
        heads={name: (head.epoch, head.seq) for name, head in heads.items()}, memberships=found
    )


async def streams_of_user(connection: Connection, user_id: UserId) -> list[str]:
    """Name every stream that the user is on: their inbox, and those of their channels."""
    mine = await connection.fetch("SELECT channel_id FROM chat.members WHERE user_id = $1", user_id)
    return [inbox_stream(user_id), *(channel_stream(channel_id) for (channel_id,) in mine)]
