"""What all that move a transfer's chunks on this node share."""

from dataclasses import dataclass

from sharezync_gateway.realtime.transfer.calls import TransferCalls
from sharezync_gateway.realtime.transfer.chunk_store import ChunkStore
from sharezync_gateway.realtime.transfer.crew import Crew
from sharezync_gateway.realtime.transfer.followers import Followers
from sharezync_gateway.realtime.transfer.fresh import FreshChunks
from sharezync_gateway.realtime.transfer.metrics import TransferMetrics


@dataclass(frozen=True, slots=True)
class Commons:
    """One of each on a node."""

    store: ChunkStore
    calls: TransferCalls
    crew: Crew
    fresh: FreshChunks
    followers: Followers
    metrics: TransferMetrics
