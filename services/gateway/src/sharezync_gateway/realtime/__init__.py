"""The socket engine: who is connected to this node, and what each of them receives, in order.

| module | |
|---|---|
| `protocol` | frames and close codes; pure |
| `handshake`, `opening`, `socket_handler`, `connection` | one connection, from first to last |
| `handlers`, `commands`, `budget` | what clients ask for |
| `devices` | on which devices they are, and reporting that to auth |
| `hub`, `outbound` | who is on which stream here; writing one frame to all of them |
| `tracker` | order, doubles, holes |
| `stream_membership`, `resuming`, `reconciling` | who gets which stream, from where on |
| `subscribing`, `interest`, `visibility` | what clients want to know of others |
| `presence`, `typists`, `signals` | who is online, who is typing |
| `revoking` | who gets nothing any more |
| `service_calls` | what sockets ask of the services |
| `context`, `engine` | what they share; all of it put together |
"""

from sharezync_gateway.realtime.connection import Connection
from sharezync_gateway.realtime.engine import SOCKETS, ChunkHandler, RealtimeEngine
from sharezync_gateway.realtime.handlers import BinaryHandler, Handler
from sharezync_gateway.realtime.protocol import BadFrame, CloseCode, Error, FrameHead, read_body

__all__ = [
    "SOCKETS",
    "BadFrame",
    "BinaryHandler",
    "ChunkHandler",
    "CloseCode",
    "Connection",
    "Error",
    "FrameHead",
    "Handler",
    "RealtimeEngine",
    "read_body",
]
