"""A real server inside a test's own event loop."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send

from sharezync_shared.server import Draining, DrainingServer, ServerSettings, make_server
from sharezync_testkit.waiting import wait_until


@dataclass(frozen=True)
class Served:
    """An application that answers on 127.0.0.1."""

    port: int
    draining: Draining
    server: DrainingServer
    task: asyncio.Task[None]

    @property
    def http(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def ws(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    async def stop(self) -> None:
        """Stop as SIGTERM does, and wait until all is over."""
        self.server.should_exit = True
        await self.task


@asynccontextmanager
async def serving(
    app: ASGIApp,
    *,
    draining: Draining | None = None,
    drain_seconds: float = 5,
    **options: Any,  # noqa: ANN401 - as in ServerSettings
) -> AsyncGenerator[Served]:
    """Serve `app` on a free port of 127.0.0.1 inside the block; options as in `ServerSettings`."""
    draining = draining or Draining()
    settings = ServerSettings(drain_seconds=drain_seconds, **options)
    server = make_server(app, settings, draining=draining)
    server.capture_signals = contextlib.nullcontext  # type: ignore[assignment,method-assign]  # they are pytest's
    task = asyncio.create_task(server.serve())
    try:
        await wait_until(lambda: server.started or task.done())
        if task.done():
            task.result()
        yield Served(server.port, draining, server, task)
    finally:
        server.should_exit = True
        await asyncio.wait({task}, timeout=drain_seconds)
        server.force_exit = True
        await task


def plain_asgi(*, http: ASGIApp | None = None, websocket: ASGIApp | None = None) -> ASGIApp:
    """Return an application made of the given parts, with a lifespan that does nothing."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
            return
        part = http if scope["type"] == "http" else websocket
        assert part is not None, scope["type"]
        await part(scope, receive, send)

    return app
