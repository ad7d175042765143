"""The port to a service. Two adapters, one contract: `HttpUpstream` and `AsgiUpstream`."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from starlette.types import Send

from sharezync_gateway.proxy.body import RequestBody
from sharezync_gateway.proxy.headers import Headers


def _never(_: int) -> bool:
    return False


def _nothing() -> None:
    """Nobody wants to know."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientOrigin:
    """Who asks, as far as the network knows."""

    address: str
    scheme: str
    """How the client reached us: `http` or `https`."""
    host: bytes
    """The Host that the client named."""


@dataclass(slots=True, kw_only=True)
class Request:
    """What goes to a service: cleaned already, and only that."""

    method: str
    path: bytes
    """Normalised and still escaped; begins with a slash."""
    query: bytes
    """Without the question mark; ASCII."""
    headers: Headers
    """Lower-case names, in the client's order, without host and framing: the adapter adds those."""
    body: RequestBody
    patience_seconds: float
    """How long the service may say nothing while it is its turn."""
    origin: ClientOrigin
    takes_files: bool = False
    """Whether `send` takes messages of the extension `http.response.zerocopysend`."""
    takes_splice: bool = False
    """Whether `send` takes messages of the extension `sharezync.splice`."""
    may_buffer: Callable[[int], bool] = _never
    """Asked whether an answer that isn't small may be read whole, before the client reads it."""
    on_served: Callable[[], None] = _nothing
    """Called when the service has said all, perhaps before the client has read it. May be called
    several times, or never."""


class Upstream(Protocol):
    """Carries requests to one service.

    What is promised here holds for every adapter, and one test suite holds each to it.
    """

    async def start(self) -> None:
        """Make ready to carry. The service need not be there yet."""
        ...

    async def aclose(self) -> None:
        """Give back what `start` took. Requests under way break off. Idempotent."""
        ...

    async def forward(self, request: Request, send: Send) -> None:
        """Carry one request to the service, and its answer to `send` as ASGI messages.

        Bodies stream both ways in bounded memory, unread and unchanged: nothing is decoded, no
        redirect is followed, no cookie kept. An answer that begins while the client still sends is
        passed on at once. The service sees the client's `Expect: 100-continue` fulfilled only when
        it asks for the body. A body that was gathered is given to it whole.

        When the body breaks off (`request.body.gone`, `.failure`), the service learns that the
        client left and this returns; so it does when `send` raises ClientGone. Of a body of tus it
        has got by then all that came; of another small one perhaps nothing. The service is given at
        most one whole copy of a request that isn't idempotent (RFC 9110 §9.2.2).

        Raises Unreachable (nothing was sent), TookTooLong or BrokenAnswer. Where part of the
        answer is out, the caller must break off its own answer.
        """
        ...
