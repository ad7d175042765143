"""Metrics on a port of their own, which no ingress or gateway leads to."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import structlog
from prometheus_client import CollectorRegistry, start_http_server

log = structlog.get_logger()


@asynccontextmanager
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
