"""The gateway's life: what is started in which order, and put away in the other."""

from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import Protocol

import structlog
from starlette.types import ASGIApp, Receive, Scope, Send

from sharezync_gateway.proxy.upstream import Upstream
from sharezync_gateway.rate_limits import RateLimiter
from sharezync_shared.health import Health
from sharezync_shared.platform import Platform

log = structlog.get_logger()


class SocketEngine(Protocol):
    """What the rest of the gateway needs of `RealtimeEngine`."""

    @property
    def ready(self) -> bool: ...
    @property
    def delivering(self) -> bool: ...
    async def start(self) -> None: ...
    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None: ...
    async def drain(self, seconds: float) -> None: ...
    async def aclose(self) -> None: ...


class GatewayLifespan:
    """Starts and ends what the gateway stands on; the application's lifespan."""

    def __init__(
        self,
        *,
        platform: Platform,
        upstreams: Mapping[str, Upstream],
        sockets: SocketEngine,
        limits: RateLimiter,
        health: Health,
    ) -> None:
        self._platform = platform
        self._upstreams = upstreams
        self._sockets = sockets
        self._limits = limits
        self._health = health
        platform.draining.add("sockets", sockets.drain)

    def around(self, *, http: ASGIApp, websocket: ASGIApp) -> ASGIApp:
        """Return the application made of these two and this life."""

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            match scope["type"]:
                case "http":
                    await http(scope, receive, send)
                case "websocket":
                    await websocket(scope, receive, send)
                case "lifespan":
                    await self._lifespan(receive, send)

        return app

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        """Speak the ASGI lifespan protocol."""
        await receive()
        async with AsyncExitStack() as stack:
            try:
                await self._start(stack)
            except Exception as error:  # boundary: the server must be sent why, and then stop
                log.exception("start_failed")
                await send({"type": "lifespan.startup.failed", "message": repr(error)})
                return
            await send({"type": "lifespan.startup.complete"})
            await receive()
        await send({"type": "lifespan.shutdown.complete"})

    async def _start(self, stack: AsyncExitStack) -> None:
        stack.push_async_callback(self._limits.aclose)
        for upstream in self._upstreams.values():
            await upstream.start()
            stack.push_async_callback(upstream.aclose)
        stack.push_async_callback(self._platform.aclose)
        await self._sockets.start()
        stack.push_async_callback(self._sockets.aclose)
        await self._platform.start()
        await stack.enter_async_context(self._health.running())
