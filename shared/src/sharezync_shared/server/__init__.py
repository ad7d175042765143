"""The server of every process: an ASGI application and settings go in, a server comes out.

What the rest of the project may use stands here; the README beside this file explains it. Nothing
outside this package imports uvicorn, httptools, or the server's side of websockets.
"""

from sharezync_shared.server.answer import ABORT_EXTENSION
from sharezync_shared.server.departures import CLIENT_EXTENSION, PATIENCE_SECONDS
from sharezync_shared.server.frame_reader import (
    BINARY,
    TEXT,
    encode_binary_frame,
    encode_text_frame,
    frame_header,
    text_payloads,
)
from sharezync_shared.server.sendfile import ZERO_COPY, ZERO_COPY_OFFERED
from sharezync_shared.server.server import DrainingServer, make_server, run, serve
from sharezync_shared.server.server_context import Draining
from sharezync_shared.server.settings import (
    SLOWEST_BYTES_PER_SECOND,
    ServerSettings,
    WebSocketSettings,
    server_settings,
)
from sharezync_shared.server.splice import SPLICE, SpliceSource
from sharezync_shared.server.websocket_protocol import (
    HIGH_WATER_BYTES,
    FramePort,
    frame_port,
    with_frame_port,
)

__all__ = [
    "ABORT_EXTENSION",
    "BINARY",
    "CLIENT_EXTENSION",
    "HIGH_WATER_BYTES",
    "PATIENCE_SECONDS",
    "SLOWEST_BYTES_PER_SECOND",
    "SPLICE",
    "TEXT",
    "ZERO_COPY",
    "ZERO_COPY_OFFERED",
    "Draining",
    "DrainingServer",
    "FramePort",
    "ServerSettings",
    "SpliceSource",
    "WebSocketSettings",
    "encode_binary_frame",
    "encode_text_frame",
    "frame_header",
    "frame_port",
    "make_server",
    "run",
    "serve",
    "server_settings",
    "text_payloads",
    "with_frame_port",
]
