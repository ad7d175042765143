"""The socket engine of one node: its parts, put together, and their life."""

from collections.abc import Callable, Collection, Mapping
from typing import Final

from prometheus_client import CollectorRegistry
from starlette.types import Receive, Scope, Send

from sharezync_gateway.realtime.admission import Admission
from sharezync_gateway.realtime.budget import UserBudgets
from sharezync_gateway.realtime.commands import CommandQueue
from sharezync_gateway.realtime.connection import Connection
from sharezync_gateway.realtime.context import SocketContext
from sharezync_gateway.realtime.devices import Devices
from sharezync_gateway.realtime.handlers import BinaryHandler, Handler, OwnHandlers
from sharezync_gateway.realtime.hub import Hub
from sharezync_gateway.realtime.interest import Interests
from sharezync_gateway.realtime.metrics import SocketMetrics
from sharezync_gateway.realtime.opening import ConnectionOpener
from sharezync_gateway.realtime.polling import FallbackPolling
from sharezync_gateway.realtime.protocol import MAX_MESSAGE_BYTES, CloseCode
from sharezync_gateway.realtime.reconciling import Reconciler
from sharezync_gateway.realtime.resuming import Resumer
from sharezync_gateway.realtime.revoking import RevocationPull, Revoker
from sharezync_gateway.realtime.service_calls import ServiceCalls, owner_of
from sharezync_gateway.realtime.signals import SharingContext, Signals
from sharezync_gateway.realtime.socket_handler import SocketHandler
from sharezync_gateway.realtime.socket_limits import SocketLimits
from sharezync_gateway.realtime.stream_membership import StreamMembership
from sharezync_gateway.realtime.subscribing import Subscriptions
from sharezync_shared.background import Periodic
from sharezync_shared.calls.client import ServiceUnavailable
from sharezync_shared.events.bus import Bus
from sharezync_shared.ids import uuid7
from sharezync_shared.problems import Unavailable
from sharezync_shared.server import WebSocketSettings
from sharezync_shared.streams.frames import Frame
from sharezync_shared.tokens.verifier import Revocations, TokenVerifier
from sharezync_shared.tracing.spans import Tracing

SOCKETS: Final = WebSocketSettings(
    max_message_bytes=MAX_MESSAGE_BYTES,
    silent_close_code=CloseCode.IDLE,
    flooding_close_code=CloseCode.FLOODING,
)
"""Limits of the server; the finer ones are enforced here."""

ChunkHandler = Callable[[Frame], None]
"""Called, at once and in no promised order, with each frame that announces a transfer's chunk."""

_SWEEP_SECONDS = 1.0


class RealtimeEngine:
    """Serves the WebSockets of one node.

    `start` before the bus is started; then `handle` for each socket; `drain` while the server
    still listens; `aclose` at the end. `handlers` and `binary_handler` answer the frames that the
    engine doesn't know (transfers), `chunk_handler` gets chunks.
    """

    def __init__(
        self,
        *,
        limits: SocketLimits,
        bus: Bus,
        registry: CollectorRegistry,
        verifier: TokenVerifier,
        revocations: Revocations,
        calls: ServiceCalls,
        handlers: Mapping[str, Handler] | None = None,
        binary_handler: BinaryHandler | None = None,
        chunk_handler: ChunkHandler | None = None,
        tracing: Tracing | None = None,
    ) -> None:
        tracing = tracing or Tracing()
        self._bus = bus
        self._calls = calls
        self._knew_revocations = False
        self._chunk_handler = chunk_handler
        metrics = SocketMetrics(registry)
        self.hub = Hub(metrics, on_empty=self._forget, on_left=self._has_left, tracing=tracing)
        self._subscriptions = Subscriptions(
            SharingContext(
                hub=self.hub,
                calls=calls,
                interests=Interests(),
                signals=Signals(bus),
                metrics=metrics,
                limits=limits,
            )
        )
        self._revoker = Revoker(self.hub, revocations)
        membership = StreamMembership(self.hub, calls, self._revoker)
        self._tracker = membership.tracker
        self._pull = RevocationPull(
            calls,
            self._revoker,
            period_seconds=limits.pull_seconds,
            metrics=metrics,
        )
        self._polling = FallbackPolling(
            self._tracker,
            calls,
            metrics,
            is_delivering=lambda: bus.delivering,
            on_frames=self._on_frames,
        )
        self._context = context = SocketContext(
            limits=limits,
            metrics=metrics,
            verifier=verifier,
            hub=self.hub,
            membership=membership,
            reconciler=Reconciler(
                self.hub,
                membership,
                limits.recheck_seconds,
                on_recheck=self._subscriptions.check_soon,
            ),
            resumer=Resumer(self.hub, self._tracker, calls, metrics),
            devices=Devices(
                calls, str(uuid7()), metrics, on_presence=self._subscriptions.say_presence
            ),
            commands=CommandQueue(calls, tracing),
            admission=Admission(limits),
            budgets=UserBudgets(
                limits.user_share * limits.commands_per_second,
                limits.user_share * limits.commands_burst,
            ),
            tracing=tracing,
        )
        opener = ConnectionOpener(context)
        own = OwnHandlers(context, opener).table
        self._socket_handler = SocketHandler(
            context,
            opener,
            {**own, **self._subscriptions.table, **(handlers or {})},
            binary_handler,
        )
        # Without it, tokens that expire would not be noticed.
        self._sweeper = Periodic(
            self._sweep, name="sweep", every_seconds=_SWEEP_SECONDS, first_seconds=_SWEEP_SECONDS
        )

    @property
    def ready(self) -> bool:
        """Whether sockets may come: it was heard once what is revoked, and nobody is sent away.

        Without the broker they miss nothing either, and hear it a second later.
        """
        return (self._knew_revocations or self._pull.answered) and not self._socket_handler.leaving

    @property
    def delivering(self) -> bool:
        """Whether events come by the broker, and owners need not be asked for them."""
        return not self._polling.active

    def of_user(self, user_id: str) -> tuple[Connection, ...]:
        return self.hub.of_user(user_id)

    async def start(self) -> None:
        """Begin to listen to the bus, which is started afterwards."""
        await self._bus.receive_frames(self._on_frames, self._on_gap)
        self._sweeper.start()
        self._context.reconciler.start()
        self._context.devices.start()
        self._subscriptions.start()
        if self._bus.may_lose_frames:
            self._pull.start()
            self._polling.start()

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._socket_handler.handle(scope, receive, send)

    async def drain(self, seconds: float) -> None:
        """Send `bye` on every socket, spread over at most so many seconds; take no new ones."""
        await self._socket_handler.drain(seconds)

    async def aclose(self) -> None:
        """Stop everything; sockets that are still open are closed."""
        self._socket_handler.close_all()
        await self._context.devices.aclose()
        await self._sweeper.aclose()
        await self._context.reconciler.aclose()
        await self._context.commands.aclose()
        await self._pull.aclose()
        await self._polling.aclose()
        await self._subscriptions.aclose()
        await self._tracker.aclose()

    def _on_frames(self, frames: list[Frame]) -> None:
        """Take what the bus brings; called on the event loop, must not block."""
        self._tracker.handle_frames(frames)
        for frame in frames:
            if frame.control is not None:
                self._revoker.handle_frames((frame,))
                self._subscriptions.handle_leaving(frame.control)
                if frame.control.epoch_of is not None:
                    self._compare_epoch(frame.control.epoch_of, frame.epoch)
                if frame.control.chunk is not None and self._chunk_handler is not None:
                    self._chunk_handler(frame)
            elif frame.seq == 0:
                self._subscriptions.handle_signal(frame)

    async def _on_gap(self) -> None:
        """Learn what was said while nobody listened: first what is forbidden, then the rest."""
        try:
            revoked = await self._calls.revocations(self._revoker.lifetime_seconds)
        except ServiceUnavailable as error:  # logged already, once for each outage
            raise Unavailable(str(error)) from error
        self._revoker.revoke(revoked)
        self._knew_revocations = True
        if self._bus.may_lose_frames:
            await self._polling.ask_all()
        await self._context.reconciler.recheck_all()

    def _compare_epoch(self, owner: str, epoch: str) -> None:
        """Have everybody rechecked where a service's streams are in another epoch than here."""
        if self._tracker.is_of_another_epoch(lambda stream: owner_of(stream) == owner, epoch):
            self._context.reconciler.recheck_all_soon()

    def _forget(self, stream: str) -> None:
        self._tracker.drop_stream(stream)

    def _has_left(self, stream: str, user_ids: Collection[str]) -> None:
        self._subscriptions.has_left(stream, user_ids)

    async def _sweep(self) -> None:
        self._socket_handler.sweep()
