"""One request about a transfer's chunks: what it says, and how it is answered."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qs
from uuid import UUID

from starlette.datastructures import Headers

from sharezync_gateway.errors import ClientGone
from sharezync_gateway.proxy.incoming import IncomingRequest
from sharezync_gateway.routes import Route
from sharezync_gateway.transfers.core.calls import Caller
from sharezync_shared.problems import Invalid, Unauthenticated
from sharezync_shared.tokens.claims import Identity

_MOST_INDEX: Final = 2**31 - 1
_MOST_TOKEN_BYTES: Final = 1024
_PIECE_BYTES: Final = 256 * 1024
"""Written at a time: whoever takes less than one within `CLIENT_IDLE_SECONDS` doesn't read."""


@dataclass(slots=True, kw_only=True)
class RoutedRequest(IncomingRequest):
    """One that the gateway may answer itself; `path` has as many segments as the route's template.

    `identity` is None where a capability token was shown.
    """

    route: Route
    identity: Identity | None

    @property
    def fields(self) -> dict[bytes, bytes]:
        """The header fields, by lower-case name; of several of one name the last."""
        return dict(self.head.kept)

    @property
    def caller(self) -> Caller:
        """Who asks. Raises Unauthenticated for a capability token that can't be one."""
        if self.identity is not None:
            device = self.identity.device_id
            return Caller(str(self.identity.user_id), None if device is None else str(device))
        _, _, token = (self.head.authorization or b"").partition(b" ")
        token = token.strip()
        if not token or len(token) > _MOST_TOKEN_BYTES or not token.isascii():
            raise Unauthenticated(
                "The Authorization header must be `Bearer <token>` or `Transfer <token>`",
                headers={"WWW-Authenticate": 'Transfer error="invalid_request"'},
            )
        return Caller(token=token.decode())

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

    async def start(self, status: int, headers: Mapping[str, str]) -> None:
        """Begin the answer."""
        raw = Headers(headers).raw
        await self.send({"type": "http.response.start", "status": status, "headers": raw})

    async def write(self, payload: bytes | memoryview, *, is_last: bool = True) -> None:
        """Send some of the body. Raises ClientGone if the client has left, or takes nothing."""
        view = memoryview(payload)
        for begin in range(0, len(view) or 1, _PIECE_BYTES):
            piece = view[begin : begin + _PIECE_BYTES]
            more = not is_last or begin + _PIECE_BYTES < len(view)
            try:
                async with asyncio.timeout(self.bounds.client_idle_seconds):
                    await self.send(
                        {"type": "http.response.body", "body": piece, "more_body": more}
                    )
            except (TimeoutError, OSError) as error:
                raise ClientGone("The client does not read") from error


RequestHandler = Callable[[RoutedRequest], Awaitable[None]]
"""Answers one of the gateway's own routes. Raises a Problem if nothing was sent yet."""


def shows_capability(authorization: bytes | None) -> bool:
    """Whether somebody comes with a capability token, good or not."""
    return authorization is not None and authorization[:9].lower() == b"transfer "


def _invalid(field: str, message: str) -> Invalid:
    return Invalid(message, errors=[{"field": field, "message": message}])
