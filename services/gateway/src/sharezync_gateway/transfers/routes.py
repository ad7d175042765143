"""The doors as the route table has them, and who is let in through them."""

from typing import Protocol

from sharezync_gateway.realtime.transfer.byte_semaphore import ByteSemaphore
from sharezync_gateway.realtime.transfer.transfers import Transfers
from sharezync_gateway.routes import RateClass
from sharezync_gateway.transfers.callers import caller_of
from sharezync_gateway.transfers.content import GetContent
from sharezync_gateway.transfers.getting import GetChunk
from sharezync_gateway.transfers.participations import HttpParticipations
from sharezync_gateway.transfers.putting import PutChunk
from sharezync_gateway.transfers.routed_request import Room, RoutedRequest
from sharezync_gateway.transfers.writing import LEAVING_BYTES


class RequestCounts(Protocol):
    """Counts requests; see `gateway_app.RequestAdmission`. Each raises RateLimited."""

    async def admit_user(self, rate: RateClass, user_id: str) -> None:
        """Count one request of a user."""
        ...

    async def admit_address(self, rate: RateClass, address: str) -> None:
        """Count one request of an address."""
        ...


class TransferRoutes:
    """Chunks in and files out over HTTP, on the ground of the transfers of this node's sockets."""

    def __init__(self, transfers: Transfers, counts: RequestCounts) -> None:
        self._counts = counts
        self._ends = HttpParticipations(transfers.commons)
        transfers.when_changed(self._ends.changed)
        leaving = ByteSemaphore(LEAVING_BYTES)
        self._put_chunk = PutChunk(transfers, self._ends)
        self._get_chunk = GetChunk(transfers.commons, self._ends, leaving)
        self._get_content = GetContent(transfers.commons, self._ends, leaving)

    def by_route(self) -> dict[str, Room]:
        """Return the room for each of the rows of the route table that are answered here."""
        return {
            "/v1/transfers/{id}/files/{n}/chunks/{i}": self.chunk,
            "/v1/transfers/{id}/files/{n}/content": self.content,
        }

    async def chunk(self, visit: RoutedRequest) -> None:
        """Take a chunk, or give one out."""
        await self._admit(visit)
        await (self._put_chunk if visit.method == "PUT" else self._get_chunk)(visit)

    async def content(self, visit: RoutedRequest) -> None:
        """Give out a file."""
        await self._admit(visit)
        await self._get_content(visit)

    async def _admit(self, visit: RoutedRequest) -> None:
        """Count whoever comes with a capability: by address until it was proven, then by user."""
        if visit.identity is not None:
            return
        transfer_id, _ = visit.place()
        caller = caller_of(visit.head.authorization, None)
        end = self._ends.known(transfer_id, caller)
        if end is None:
            await self._counts.admit_address(RateClass.PUBLIC, visit.address)
            end = await self._ends.participation_of(transfer_id, caller)
        await self._counts.admit_user(visit.route.rate, end.attachment.user_id.hex)
