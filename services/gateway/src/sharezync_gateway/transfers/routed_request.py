"""One request to one of the gateway's own rooms, let in or about to be."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from urllib.parse import parse_qs
from uuid import UUID

from starlette.types import Receive, Scope, Send

from sharezync_gateway.proxy.body import RequestBody
from sharezync_gateway.proxy.forward import RequestBounds
from sharezync_gateway.proxy.headers import RequestHead
from sharezync_gateway.routes import Route
from sharezync_shared.problems import Invalid
from sharezync_shared.server import ABORT_EXTENSION
from sharezync_shared.tokens.claims import Identity

_MOST_INDEX = 2**31 - 1


@dataclass(slots=True, kw_only=True)
class RoutedRequest:
    """A request as the door hands it over. `identity` is None where the room itself must ask."""

    scope: Scope
    receive: Receive
    send: Send
    route: Route
    path: bytes
    """Normalised; its segments are as many as those of the route's template."""
    head: RequestHead
    identity: Identity | None
    address: str
    bounds: RequestBounds

    @property
    def method(self) -> str:
        """GET, HEAD or PUT."""
        return str(self.scope["method"])

    @property
    def fields(self) -> dict[bytes, bytes]:
        """The header fields, by lower-case name; of several of one name the last."""
        return dict(self.head.kept)

    def body(self, limit_bytes: int) -> RequestBody:
        """Return the request's body. Raises TooLarge."""
        return RequestBody(
            self.receive,
            length=self.head.body_bytes,
            limit_bytes=limit_bytes,
            idle_seconds=self.bounds.client_idle_seconds,
            expects_continue=self.head.expects_continue,
        )

    def place(self) -> tuple[UUID, list[int]]:
        """Return the transfer and the numbers behind it: file, then chunk. Raises Invalid."""
        template, given = self.route.path.split("/"), self.path.decode("ascii").split("/")
        values = [v for name, v in zip(template, given, strict=True) if name.startswith("{")]
        try:
            transfer_id = UUID(values[0])
            if len(values[0]) != 36:
                raise ValueError
        except ValueError:
            raise _invalid("path.id", "Must be a UUID") from None
        numbers = []
        for value in values[1:]:
            if (
                not (value.isascii() and value.isdigit())
                or len(value) > 10
                or int(value) > _MOST_INDEX
            ):
                raise _invalid("path", "Must be a non-negative integer")
            numbers.append(int(value))
        return transfer_id, numbers

    def wants(self, name: str) -> bool:
        """Whether the query says `name=true`. Raises Invalid for what is neither that nor false."""
        given = parse_qs(self.scope["query_string"].decode("latin-1")).get(name, ["false"])[-1]
        if given not in {"true", "false"}:
            raise _invalid(f"query.{name}", "Must be true or false")
        return bool(given == "true")

    def hang_up(self) -> None:
        """Drop the connection, where the server lets us: only that tells that nothing is whole."""
        abort = self.scope.get("extensions", {}).get(ABORT_EXTENSION)
        if abort is not None:
            abort["abort"]()


Room = Callable[[RoutedRequest], Awaitable[None]]
"""Answers one of the gateway's own routes. Raises a Problem if nothing was sent yet."""


def _invalid(field: str, message: str) -> Invalid:
    return Invalid(message, errors=[{"field": field, "message": message}])
