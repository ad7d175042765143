"""One application served by one process, which leaves without dropping what it holds.

uvicorn closes every WebSocket and only then tells the application to shut down, so goodbyes can't
be said from a lifespan handler: they are said here, before uvicorn closes anything.
"""

import asyncio
import contextlib
import gc
import os
import signal
import socket
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from functools import partial
from types import FrameType
from typing import Any, Final

import structlog
import uvicorn
from prometheus_client import CollectorRegistry, start_http_server
from starlette.types import ASGIApp
from uvicorn.server import ServerState

from sharezync_shared.server.allocator import FreedMemory, keep_freed_memory
from sharezync_shared.server.connections import ConnectionLimits, raise_file_limit
from sharezync_shared.server.http_protocol import HttpProtocol
from sharezync_shared.server.loop_lag import LoopLag
from sharezync_shared.server.outgoing import OutgoingWatch, bound_kernel
from sharezync_shared.server.request_body import SharedBufferReader
from sharezync_shared.server.server_context import Draining, DrainStep, ServerContext
from sharezync_shared.server.settings import ServerSettings
from sharezync_shared.server.turns import Turns
from sharezync_shared.server.unfinished import UnfinishedMessages
from sharezync_shared.server.websocket_protocol import CountedSocket

log = structlog.get_logger()

_POLL_SECONDS: Final = 0.05
_TICKS_BETWEEN_LOOKS: Final = 50
"""At memory that was freed; uvicorn has ten ticks a second."""
_ACCEPTED_IN_A_PASS: Final = 8
"""uvloop accepts one connection by a listening descriptor in each pass, and a pass takes some
milliseconds where there is much to do. Who opens connections faster than that fills the queue; what
finds it full is dropped, and is served when TCP has tried again, after 1 to 7 s."""
_BACKLOG: Final = 4096
"""Connections that wait to be accepted, as many as Linux allows (net.core.somaxconn): those that
come while the process stands still."""


class DrainingServer(uvicorn.Server):
    """uvicorn's server that drains before it closes.

    The first SIGTERM or SIGINT starts the drain, the second ends it at once. Neither is raised
    again afterwards: the caller still has things to put away, and decides the exit status.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        *,
        draining: Draining,
        around: ServerContext,
        on_listening: Callable[[int], None] | None = None,
        lag: LoopLag | None = None,
    ) -> None:
        super().__init__(config)
        self.draining = draining
        self.drain_seconds = around.settings.drain_seconds
        self.connections = around.limits
        self._freed_memory = FreedMemory()
        self._around = around
        self._on_listening = on_listening
        self._lag = lag

    async def on_tick(self, counter: int) -> bool:
        if self._lag is not None:
            self._lag.tick()
        if counter % _TICKS_BETWEEN_LOOKS == 0:
            self._freed_memory.trim()
        return await super().on_tick(counter)

    @property
    def port(self) -> int:
        """The port that is listened on, also where the caller asked for port 0."""
        name = self.servers[0].sockets[0].getsockname()
        return int(name[1])

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            await self._listen_with_more_descriptors()
            bound_kernel(s for server in self.servers for s in server.sockets)
            log.info("listening", host=self.config.host, port=self.port)
            if self._on_listening is not None:
                self._on_listening(self.port)

    async def _listen_with_more_descriptors(self) -> None:
        """Accept several connections in a pass of the loop."""
        loop = asyncio.get_running_loop()
        if isinstance(loop, asyncio.BaseEventLoop):
            return  # it accepts all that wait
        protocol = partial(
            connection_protocol,
            self.config,
            self.server_state,
            self.lifespan.state,
            around=self._around,
        )
        listening = [each.fileno() for server in self.servers for each in server.sockets]
        for descriptor in listening * (_ACCEPTED_IN_A_PASS - 1):
            more = socket.socket(fileno=os.dup(descriptor))
            self.servers.append(
                await loop.create_server(protocol, sock=more, backlog=self.config.backlog)
            )

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        del frame
        log.info("stop_requested", signal=signal.Signals(sig).name, again=self.should_exit)
        self.force_exit = self.should_exit
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Say goodbye, let requests end, finish what they left behind, then close everything.

        All of it within `drain_seconds`, plus a moment for closing handshakes and the lifespan.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self.drain_seconds
        log.info("draining", seconds=self.drain_seconds, connections=len(self._connections))
        self.draining.begin()
        for step in self.draining.before_requests_end:
            await self._run(step, deadline)
        for server in self.servers:
            server.close()
        await self._requests_end(deadline)
        for step in self.draining.after_requests_end:
            await self._run(step, deadline)
        # What is still open now had its time. uvicorn takes 0 for "for ever", so it gets a second.
        self.config.timeout_graceful_shutdown = max(1, round(deadline - loop.time()))
        await super().shutdown(sockets)
        log.info("stopped", forced=self.force_exit)

    @property
    def _connections(self) -> set[Any]:
        return self.server_state.connections

    def _requests(self) -> list[HttpProtocol]:
        return [c for c in self._connections if isinstance(c, HttpProtocol)]

    async def _requests_end(self, deadline: float) -> None:
        """Close idle keep-alive connections; wait for those on which a request is answered."""
        for connection in self._requests():
            connection.shutdown()
        # uvicorn's set of connections has no event for changes.
        while self._requests() and self._may_wait(deadline):  # noqa: ASYNC110
            await asyncio.sleep(_POLL_SECONDS)

    async def _run(self, step: DrainStep, deadline: float) -> None:
        now = asyncio.get_running_loop().time()
        if not self._may_wait(deadline):
            log.warning("drain_step_skipped", step=step.name)
            return
        task = asyncio.ensure_future(step.hook(deadline - now))
        while not task.done() and self._may_wait(deadline):
            await asyncio.wait({task}, timeout=_POLL_SECONDS)
        if task.cancel():
            log.warning("drain_step_timed_out", step=step.name, after_seconds=deadline - now)
            await asyncio.wait({task}, timeout=1)
        elif (error := task.exception()) is not None:
            log.error("drain_step_failed", step=step.name, exc_info=error)

    def _may_wait(self, deadline: float) -> bool:
        return not self.force_exit and asyncio.get_running_loop().time() < deadline


def connection_protocol(
    config: uvicorn.Config,
    server_state: ServerState,
    app_state: dict[str, Any],
    _loop: asyncio.AbstractEventLoop | None = None,
    *,
    around: ServerContext,
) -> asyncio.BufferedProtocol:
    """Return the protocol of one connection: what uvicorn takes for its class of HTTP protocols."""
    http = HttpProtocol(config, server_state, app_state, _loop, around=around)
    return SharedBufferReader(http)


def make_server(
    app: ASGIApp,
    settings: ServerSettings,
    *,
    draining: Draining,
    on_listening: Callable[[int], None] | None = None,
    registry: CollectorRegistry | None = None,
) -> DrainingServer:
    """Return a server for `app`; `on_listening` gets its port, once requests are answered.

    `registry` is told how late the event loop is.
    """
    websockets = settings.websockets
    around = ServerContext(
        settings,
        ConnectionLimits(settings),
        OutgoingWatch(settings),
        Turns(),
        Turns(pauses=True),
    )
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        backlog=_BACKLOG,
        # Told, not guessed: uvicorn takes a bound method for ASGI 2.
        interface="asgi3",
        http=partial(connection_protocol, around=around),  # type: ignore[arg-type]  # called as the class would be
        ws=partial(  # type: ignore[arg-type]  # as above
            CountedSocket,
            settings=websockets,
            turns=around.more_turns,
            unfinished=UnfinishedMessages(websockets.max_unfinished_bytes),
        ),
        ws_max_size=websockets.max_message_bytes,
        ws_ping_interval=websockets.ping_seconds,
        ws_ping_timeout=websockets.ping_seconds,
        ws_per_message_deflate=False,  # doubles the work of fan-out, and 35 KiB for each socket
        lifespan="on",
        log_config=None,
        # Its INFO has each socket's URL with the query string, in which a token may stand.
        log_level="warning",
        access_log=False,
        # Who speaks for whom is the application's matter (the gateway's), or a scope's client is
        # no longer who is at the other end.
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=settings.keep_alive_seconds,  # type: ignore[arg-type]  # of any kind
        # Or what one request left in its context (its id) shows up in the next.
        reset_contextvars=True,
    )
    return DrainingServer(
        config,
        draining=draining,
        around=around,
        on_listening=on_listening,
        lag=None if registry is None else LoopLag(registry),
    )


@contextlib.asynccontextmanager
async def metrics_server(host: str, port: int, registry: CollectorRegistry) -> AsyncGenerator[int]:
    """Serve `registry` at `http://host:port/metrics` inside the block; yields the port.

    `port` 0 takes any free one. It has threads of its own, so that a process too busy to answer
    requests still answers why. Raises OSError if the port is taken.
    """
    server, thread = start_http_server(port, addr=host, registry=registry)
    log.info("metrics_listening", host=host, port=server.server_port)
    try:
        yield server.server_port
    finally:
        await asyncio.to_thread(server.shutdown)
        server.server_close()
        thread.join()


async def serve(
    app: ASGIApp,
    settings: ServerSettings,
    *,
    draining: Draining,
    registry: CollectorRegistry | None = None,
    sockets: Sequence[socket.socket] | None = None,
    on_listening: Callable[[int], None] | None = None,
) -> None:
    """Serve `app` until SIGTERM or SIGINT, then drain and return.

    With `sockets`, those are listened on instead of host and port. `on_listening` gets the port.
    Metrics are served where both a metrics port and `registry` are given.

    Raises SystemExit(3) if the application's start fails or the port is taken, and OSError if the
    metrics port is.
    """

    def listening(port: int) -> None:
        # Modules, routes and schemas stay to the end: collections need not look at them again.
        gc.collect()
        gc.freeze()
        if on_listening is not None:
            on_listening(port)

    server = make_server(
        app, settings, draining=draining, on_listening=listening, registry=registry
    )
    async with contextlib.AsyncExitStack() as stack:
        if settings.metrics_port is not None and registry is not None:
            await stack.enter_async_context(
                metrics_server(settings.metrics_host, settings.metrics_port, registry)
            )
        await server.serve(list(sockets) if sockets is not None else None)


def run(main: Coroutine[Any, Any, None]) -> None:
    """Run `main` to its end on the fastest event loop there is: uvloop, else asyncio's own."""
    keep_freed_memory()
    raise_file_limit()
    new_loop: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop
    with contextlib.suppress(ImportError):
        from uvloop import new_event_loop as new_loop  # noqa: PLC0415 - there is none on Windows
    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(main)
