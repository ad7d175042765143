"""What the parts share that serve sockets."""

from dataclasses import dataclass

from sharezync_gateway.realtime.admission import Admission
from sharezync_gateway.realtime.budget import UserBudgets
from sharezync_gateway.realtime.commands import CommandQueue
from sharezync_gateway.realtime.devices import Devices
from sharezync_gateway.realtime.hub import Hub
from sharezync_gateway.realtime.metrics import SocketMetrics
from sharezync_gateway.realtime.reconciling import Reconciler
from sharezync_gateway.realtime.resuming import Resumer
from sharezync_gateway.realtime.socket_limits import SocketLimits
from sharezync_gateway.realtime.stream_membership import StreamMembership
from sharezync_shared.tokens.verifier import TokenVerifier
from sharezync_shared.tracing.spans import Tracing


@dataclass(frozen=True, slots=True, kw_only=True)
class SocketContext:
    """One of each on a node."""

    limits: SocketLimits
    metrics: SocketMetrics
    verifier: TokenVerifier
    hub: Hub
    membership: StreamMembership
    reconciler: Reconciler
    resumer: Resumer
    devices: Devices
    commands: CommandQueue
    admission: Admission
    budgets: UserBudgets
    tracing: Tracing
