"""A request of a client whose route is known, and that was let in."""

from collections.abc import Callable
from dataclasses import dataclass

from starlette.types import Receive, Scope, Send

from sharezync_gateway.proxy.body import RequestBody
from sharezync_gateway.proxy.headers import RequestHead
from sharezync_gateway.proxy.upstream import ClientOrigin
from sharezync_shared.server import ABORT_EXTENSION, CLIENT_EXTENSION


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

    def has_left(self) -> bool:
        """Whether the client has gone while its request waits, if the server can say so."""
        client = self.scope.get("extensions", {}).get(CLIENT_EXTENSION)
        return client is not None and client["has_left"]()

    def on_left(self, call: Callable[[], None] | None) -> None:
        """Have `call` called when the connection ends; None takes that back."""
        client = self.scope.get("extensions", {}).get(CLIENT_EXTENSION)
        if client is not None:
            client["on_left"](call)

    def hang_up(self) -> None:
        """Drop the connection, where the server lets us: only that shows that nothing is whole."""
        abort = self.scope.get("extensions", {}).get(ABORT_EXTENSION)
        if abort is not None:
            abort["abort"]()
