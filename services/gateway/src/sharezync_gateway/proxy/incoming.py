"""A request of a client whose route is known, and that was let in."""

from dataclasses import dataclass

from starlette.types import Receive, Scope, Send

from sharezync_gateway.proxy.body import RequestBody
from sharezync_gateway.proxy.headers import RequestHead
from sharezync_gateway.proxy.upstream import ClientOrigin
from sharezync_shared.server import ABORT_EXTENSION


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestBounds:
    """How much a request may carry, and how long who may say nothing."""

    body_bytes: int | None
    """None is no limit."""
    patience_seconds: float
    """For the service."""
    client_idle_seconds: float
    whole_within_seconds: float | None
    """Within this time the body must be here, before the service is called. None: it streams."""
    is_long: bool
    """Whether it moves bytes, and may last: it takes its place among those that do."""


@dataclass(slots=True, kw_only=True)
class IncomingRequest:
    """A request and how to answer it."""

    scope: Scope
    receive: Receive
    send: Send
    path: bytes
    """The normalised one that the route was found by."""
    head: RequestHead
    origin: ClientOrigin
    bounds: RequestBounds

    @property
    def method(self) -> str:
        """In upper case."""
        return str(self.scope["method"])

    def body(self, limit_bytes: int | None) -> RequestBody:
        """Return the request's body. Raises TooLarge."""
        return RequestBody(
            self.receive,
            length=self.head.body_bytes,
            limit_bytes=limit_bytes,
            idle_seconds=self.bounds.client_idle_seconds,
            expects_continue=self.head.expects_continue,
        )

    def hang_up(self) -> None:
        """Drop the connection, where the server lets us: only that shows that nothing is whole."""
        abort = self.scope.get("extensions", {}).get(ABORT_EXTENSION)
        if abort is not None:
            abort["abort"]()
