"""Transfers over HTTP, for clients without a socket: the gateway's own doors to chunks.

| room | |
|---|---|
| `routes` | the two doors, as the route table has them |
| `callers`, `participations` | who asks, and what they are to a transfer; kept for a moment |
| `putting` | a chunk comes up, and is stored |
| `content` | a file goes down, or a range of it |
| `reading` | the bytes of a file in order, while it is still arriving |
| `problems` | what is refused, by the same names as on sockets |

Bytes go the same ways as those of sockets (`realtime.transfer`): both ends see progress, and who
receives on a socket gets a chunk that came over HTTP at once.
"""

from sharezync_gateway.transfers.routes import TransferRoutes

__all__ = ["TransferRoutes"]
