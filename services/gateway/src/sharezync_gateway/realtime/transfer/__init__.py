"""Transfers on the socket: chunks up from senders, to storage, and down to receivers.

| room | |
|---|---|
| `chunks`, `frames`, `chunk_scheduler`, `ack_tracker` | frames, and what is due to whom; pure |
| `transfers`, `sessions` | what clients ask for, and the transfers of each connection |
| `chunk_receiver` | the sender's side: stored, acknowledged, within its window |
| `delivery`, `chunk_cache` | the receiver's side: cut-through from memory, or from storage |
| `notices`, `reports` | other nodes and the transfer service, kept up to date |
| `chunk_store`, `http_store`, `asgi_store` | the way of bytes to storage: one port, two adapters |
| `calls` | the short calls to transfer and storage |
| `sockets` | all of it put together with the engine |
"""

from sharezync_gateway.realtime.transfer.asgi_store import AsgiChunkStore
from sharezync_gateway.realtime.transfer.chunk_store import ChunkStore
from sharezync_gateway.realtime.transfer.http_store import HttpChunkStore
from sharezync_gateway.realtime.transfer.sockets import SocketsWithTransfers

__all__ = ["AsgiChunkStore", "ChunkStore", "HttpChunkStore", "SocketsWithTransfers"]
