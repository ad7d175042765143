"""The socket engine together with transfers: what the gateway serves WebSockets with."""

from sharezync_gateway.realtime.engine import RealtimeEngine
from sharezync_gateway.realtime.service_calls import ServiceCalls
from sharezync_gateway.realtime.socket_limits import SocketLimits
from sharezync_gateway.transfers.context import TransferContext
from sharezync_gateway.transfers.core.calls import TransferCalls
from sharezync_gateway.transfers.core.chunk_store import ChunkStore
from sharezync_gateway.transfers.socket.socket_transfers import SocketTransfers
from sharezync_shared.calls.transports import PlainTransport
from sharezync_shared.contracts.chat import ChatClient
from sharezync_shared.contracts.services import Services
from sharezync_shared.platform import Platform
from sharezync_shared.tokens.revocations import Revocations
from sharezync_shared.tokens.verifier import TokenVerifier


class EngineWithTransfers(RealtimeEngine):
    """A `RealtimeEngine` that moves chunks.

    `store` and `commands`, the way of commands to chat, are started and closed here. `commands`
    None: they go the way of all other calls.
    """

    def __init__(
        self,
        *,
        limits: SocketLimits,
        platform: Platform,
        verifier: TokenVerifier,
        revocations: Revocations,
        store: ChunkStore,
        commands: PlainTransport | None = None,
    ) -> None:
        services = Services.from_platform(platform)
        self.transfers = TransferContext(
            bus=platform.bus, registry=platform.registry, store=store, calls=TransferCalls(services)
        )
        self._socket_transfers = SocketTransfers(self.transfers)
        self._chat_transport = commands
        chat = ChatClient(commands, platform.credentials) if commands else None
        super().__init__(
            limits=limits,
            bus=platform.bus,
            registry=platform.registry,
            verifier=verifier,
            revocations=revocations,
            calls=ServiceCalls(services, chat),
            handlers=self._socket_transfers.handlers,
            binary_handler=self._socket_transfers.take_binary,
            chunk_handler=self.transfers.take_notice,
        )

    async def start(self) -> None:
        """Begin to listen to the bus, which is started afterwards."""
        await self.transfers.start()
        self._socket_transfers.start()
        if self._chat_transport is not None:
            await self._chat_transport.start()
        await super().start()

    async def aclose(self) -> None:
        """Stop everything; sockets that are still open are closed."""
        await super().aclose()
        if self._chat_transport is not None:
            await self._chat_transport.aclose()
        self._socket_transfers.close()
        await self.transfers.aclose()
