"""Which route a request is for, who it comes from, and whether it may go on."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Final
from urllib.parse import unquote

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sharezync_gateway.addresses import Addresses
from sharezync_gateway.errors import BadHeaders, BadPath
from sharezync_gateway.proxy.forward import Proxy
from sharezync_gateway.proxy.headers import RequestHead, normalise, read_head
from sharezync_gateway.proxy.incoming import RequestBounds
from sharezync_gateway.rate_limits import RateLimiter
from sharezync_gateway.realtime.handshake import refuse_handshake
from sharezync_gateway.routes import GATEWAY, Access, RateClass, Route
from sharezync_gateway.routing import RouteTable
from sharezync_gateway.transfers.http.requests import (
    RequestHandler,
    RoutedRequest,
    shows_capability,
)
from sharezync_shared.addresses import bucket_of
from sharezync_shared.problems import Problem
from sharezync_shared.tokens.claims import Identity
from sharezync_shared.tokens.dependencies import bearer_token
from sharezync_shared.tokens.verifier import TokenVerifier

Page = Callable[[str], Awaitable[ASGIApp]]
"""Answers one of the gateway's own routes, given the path's last segment."""


_TUS_PATH: Final = b"/v1/uploads"


class RequestAdmission:
    """Lets in who shows a valid token, and nobody too often."""

    def __init__(self, verifier: TokenVerifier, limits: RateLimiter) -> None:
        self._verifier = verifier
        self._limits = limits

    async def admit(self, route: Route, head: RequestHead, address: str) -> Identity | None:
        """Return who asks, if the request may go on; None where a service finds out who it is.

        Who shows no token that was verified a moment ago is counted by address first, so that
        guessing tokens costs the guesser more than us. Raises Unauthenticated, RateLimited, or
        Unavailable where tokens can't be verified at this moment.
        """
        without_token = route.access is Access.EITHER and head.authorization is None
        if route.access is Access.PUBLIC or without_token:
            await self._count_address(route.rate, address)
            return None
        if route.access is Access.CAPABILITY and shows_capability(head.authorization):
            if route.service != GATEWAY:  # a service verifies it, which is not known here
                await self._count_address(route.rate, address)
            return None  # its handler counts: it knows which of them were proven a moment ago
        identity = None
        if head.authorization is not None:
            token = bearer_token([(b"authorization", head.authorization)])
            identity = self._verifier.peek(token)
        if identity is None:
            await self._count_address(RateClass.PUBLIC, address)
            authorization = head.authorization
            shown = [] if authorization is None else [(b"authorization", authorization)]
            identity = await self._verifier.verify(bearer_token(shown))
        await self._limits.admit(route.rate, identity.user_id.hex)
        return identity

    async def _count_address(self, rate: RateClass, address: str) -> None:
        await self._limits.admit(rate, bucket_of(address))


class GatewayApp:
    """Takes HTTP requests and sockets as they come, and leads them to where they belong."""

    def __init__(
        self,
        *,
        routes: RouteTable,
        socket_routes: RouteTable,
        admission: RequestAdmission,
        addresses: Addresses,
        proxy: Proxy,
        bounds: Mapping[Route, RequestBounds],
        pages: Mapping[str, Page],
        handlers: Mapping[str, RequestHandler],
        sockets: ASGIApp,
    ) -> None:
        self._routes = routes
        self._socket_routes = socket_routes
        self._admission = admission
        self._addresses = addresses
        self._proxy = proxy
        self._bounds = bounds
        self._pages = pages
        self._handlers = handlers
        self._sockets = sockets

    async def request(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one HTTP request. Raises a Problem if nothing was sent yet."""
        head: RequestHead | None = None
        try:
            head = read_head(scope["headers"], scope["http_version"])
            path = normalise(scope["raw_path"])
            method = _method_of(scope, head, path)
            route = scope["route"] = self._routes.find(method, path)
            if method != scope["method"]:
                send = _framed_for(scope["method"], method, send)
                scope = {**scope, "method": method}
            if route.access is Access.EITHER and path != scope["raw_path"]:
                # A service that checks a signature sees our spelling and not the client's.
                raise BadPath("The path must be in its normal form")
            origin = self._addresses.origin(scope, head)
            identity = await self._admission.admit(route, head, origin.address)
            if route.path in self._pages:
                page = await self._pages[route.path](path.rpartition(b"/")[2].decode("ascii"))
                await page(scope, receive, send)
                return
            request = RoutedRequest(
                scope=scope,
                receive=receive,
                send=send,
                path=path,
                head=head,
                origin=origin,
                bounds=self._bounds[route],
                route=route,
                identity=identity,
            )
            if route.path in self._handlers:
                await self._handlers[route.path](request)
                return
            caller = bucket_of(origin.address) if identity is None else identity.user_id.hex
            await self._proxy.forward(request, service=route.service, caller=caller)
        except BadHeaders as problem:
            # Where this request ends, and a next one begins, is anybody's guess.
            problem.headers["Connection"] = "close"
            raise
        except Problem as problem:
            if head is not None and head.expects_continue:
                # As in `ResponseWriter`: the body may come or not.
                problem.headers["Connection"] = "close"
            raise

    async def socket(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one WebSocket, or refuse its handshake with a problem."""
        try:
            head = read_head(scope["headers"], scope["http_version"])
            path = normalise(scope["raw_path"])
            route = self._socket_routes.find("WEBSOCKET", path)
            origin = self._addresses.origin(scope, head)
            await self._admission.admit(route, head, origin.address)
        except Problem as problem:
            await refuse_handshake(scope, receive, send, problem)
            return
        seen = {
            "client": (origin.address, (scope.get("client") or ("", 0))[1]),
            "path": unquote(path.decode("ascii")),
            "raw_path": path,
        }
        await self._sockets({**scope, **seen}, receive, send)


def _method_of(scope: Scope, head: RequestHead, path: bytes) -> str:
    """Return the method that counts: on routes of tus `X-HTTP-Method-Override`, and nothing of the
    request's own then (tus 1.0.0).
    """
    if path == _TUS_PATH or path.startswith(_TUS_PATH + b"/"):
        for name, value in head.kept:
            if name == b"x-http-method-override":
                return value.decode("latin-1").strip().upper()
    return str(scope["method"])


def _framed_for(asked: str, method: str, send: Send) -> Send:
    """Return a `send` for the answer to `method`, where the request on the wire was `asked`.

    An answer to HEAD says how long a body would be that it hasn't; to any other request it must
    have that (RFC 9110 §9.3.2).
    """
    if method != "HEAD" or asked == "HEAD":
        return send

    async def send_empty(message: Message) -> None:
        if message["type"] == "http.response.start" and message["status"] != 204:
            fields = [(n, v) for n, v in message["headers"] if n.lower() != b"content-length"]
            message = {**message, "headers": [*fields, (b"content-length", b"0")]}
        elif message["type"] == "http.response.body":
            message = {**message, "body": b""}
        await send(message)

    return send_empty
