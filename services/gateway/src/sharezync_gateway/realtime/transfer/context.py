"""What all that move a transfer's chunks on this node share."""

from dataclasses import dataclass

from sharezync_gateway.realtime.transfer.calls import TransferCalls
from sharezync_gateway.realtime.transfer.chunk_cache import ChunkCache
from sharezync_gateway.realtime.transfer.chunk_store import ChunkStore
from sharezync_gateway.realtime.transfer.followers import Followers
from sharezync_gateway.realtime.transfer.metrics import TransferMetrics
from sharezync_gateway.realtime.transfer.task_supervisor import TaskSupervisor


@dataclass(frozen=True, slots=True)
class TransferContext:
    """One of each on a node."""

    store: ChunkStore
    calls: TransferCalls
    crew: TaskSupervisor
    fresh: ChunkCache
    followers: Followers
    metrics: TransferMetrics
