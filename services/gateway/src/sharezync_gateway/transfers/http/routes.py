"""The routes of chunks and files, and who is admitted."""

from sharezync_gateway.rate_limits import RateLimiter
from sharezync_gateway.routes import RateClass
from sharezync_gateway.transfers.context import TransferContext
from sharezync_gateway.transfers.http.get_content import get_content
from sharezync_gateway.transfers.http.http_context import HttpContext
from sharezync_gateway.transfers.http.one_chunk import get_chunk, put_chunk
from sharezync_gateway.transfers.http.requests import RequestHandler, RoutedRequest
from sharezync_shared.addresses import bucket_of


class TransferRoutes:
    """Chunks in and files out over HTTP."""

    def __init__(self, transfers: TransferContext, limits: RateLimiter) -> None:
        self._limits = limits
        self._context = HttpContext(transfers)

    def by_route(self) -> dict[str, RequestHandler]:
        """Return the handler of each row of the route table that is answered here."""
        return {
            "/v1/transfers/{id}/files/{n}/chunks/{i}": self.chunk,
            "/v1/transfers/{id}/files/{n}/content": self.content,
        }

    async def chunk(self, request: RoutedRequest) -> None:
        """Take a chunk, or give one out."""
        await self._admit(request)
        handle = put_chunk if request.method == "PUT" else get_chunk
        await handle(self._context, request)

    async def content(self, request: RoutedRequest) -> None:
        """Give out a file."""
        await self._admit(request)
        await get_content(self._context, request)

    async def _admit(self, request: RoutedRequest) -> None:
        """Count whoever comes with a capability: by address until it was proven, then by user."""
        if request.identity is not None:
            return
        transfer_id, _ = request.place()
        known = self._context.known(transfer_id, request.caller)
        if known is None:
            await self._limits.admit(RateClass.PUBLIC, bucket_of(request.origin.address))
            known = await self._context.participation(transfer_id, request.caller)
        await self._limits.admit(request.route.rate, known.participation.user_id.hex)
