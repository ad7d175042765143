"""The doors as the route table has them, and who is let in through them."""

from typing import Protocol

from sharezync_gateway.realtime.transfer.gates import ByteGate
from sharezync_gateway.realtime.transfer.transfers import Transfers
from sharezync_gateway.routes import Rate
from sharezync_gateway.transfers.callers import caller_of
from sharezync_gateway.transfers.content import GetContent
from sharezync_gateway.transfers.ends import TransferEnds
from sharezync_gateway.transfers.getting import GetChunk
from sharezync_gateway.transfers.putting import PutChunk
from sharezync_gateway.transfers.visit import Room, Visit
from sharezync_gateway.transfers.writing import LEAVING_BYTES


class Counts(Protocol):
    """Counts requests; see `door.Doorkeeper`. Each raises RateLimited."""

    async def admit_user(self, rate: Rate, user_id: str) -> None:
        """Count one request of a user."""
        ...

    async def admit_address(self, rate: Rate, address: str) -> None:
        """Count one request of an address."""
        ...


class TransferRooms:
    """Chunks in and files out over HTTP, on the ground of the transfers of this node's sockets."""

    def __init__(self, transfers: Transfers, counts: Counts) -> None:
        self._counts = counts
        self._ends = TransferEnds(transfers.commons)
        transfers.when_changed(self._ends.changed)
        leaving = ByteGate(LEAVING_BYTES)
        self._put_chunk = PutChunk(transfers, self._ends)
        self._get_chunk = GetChunk(transfers.commons, self._ends, leaving)
        self._get_content = GetContent(transfers.commons, self._ends, leaving)

    def by_route(self) -> dict[str, Room]:
        """Return the room for each of the rows of the route table that are answered here."""
        return {
            "/v1/transfers/{id}/files/{n}/chunks/{i}": self.chunk,
            "/v1/transfers/{id}/files/{n}/content": self.content,
        }

    async def chunk(self, visit: Visit) -> None:
        """Take a chunk, or give one out."""
        await self._admit(visit)
        await (self._put_chunk if visit.method == "PUT" else self._get_chunk)(visit)

    async def content(self, visit: Visit) -> None:
        """Give out a file."""
        await self._admit(visit)
        await self._get_content(visit)

    async def _admit(self, visit: Visit) -> None:
        """Count whoever comes with a capability: by address until it was proven, then by user."""
        if visit.identity is not None:
            return
        transfer_id, _ = visit.place()
        caller = caller_of(visit.head.authorization, None)
        end = self._ends.known(transfer_id, caller)
        if end is None:
            await self._counts.admit_address(Rate.PUBLIC, visit.address)
            end = await self._ends.of(transfer_id, caller)
        await self._counts.admit_user(visit.route.rate, end.attachment.user_id.hex)
