"""The protocol of a new connection: reads for HTTP, as much at a time as is wanted."""

import asyncio
from typing import Any

from uvicorn.config import Config
from uvicorn.server import ServerState

from sharezync_shared.server.http_protocol import HttpProtocol
from sharezync_shared.server.request_body import SharedBufferReader
from sharezync_shared.server.server_context import ServerContext


class HttpReader(SharedBufferReader):
    """Reads for an HTTP connection: as much at a time as it wants."""

    __slots__ = ("_http",)

    def __init__(self, protocol: HttpProtocol) -> None:
        super().__init__(protocol)
        self._http = protocol

    def get_buffer(self, sizehint: int) -> memoryview:
        return super().get_buffer(sizehint)[: self._http.wanted_bytes]


def connection_protocol(
    config: Config,
    server_state: ServerState,
    app_state: dict[str, Any],
    _loop: asyncio.AbstractEventLoop | None = None,
    *,
    around: ServerContext,
) -> asyncio.BufferedProtocol:
    """Return the protocol of one connection: what uvicorn takes for its class of HTTP protocols."""
    return HttpReader(HttpProtocol(config, server_state, app_state, _loop, around=around))
