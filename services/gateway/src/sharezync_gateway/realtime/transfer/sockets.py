"""The socket engine together with transfers: what the gateway serves WebSockets with."""

from typing import Protocol

from starlette.types import Receive, Scope, Send

from sharezync_gateway.realtime.engine import EngineDependencies as EngineSurroundings
from sharezync_gateway.realtime.engine import RealtimeEngine, SocketSettings
from sharezync_gateway.realtime.http_peers import HttpPeers
from sharezync_gateway.realtime.transfer.calls import HttpTransferCalls
from sharezync_gateway.realtime.transfer.chunk_store import ChunkStore
from sharezync_gateway.realtime.transfer.transfers import Transfers
from sharezync_shared.calls.client import Credentials
from sharezync_shared.calls.transports import PlainTransport
from sharezync_shared.contracts.chat import ChatClient
from sharezync_shared.contracts.services import Services
from sharezync_shared.tokens.revocations import Revocations
from sharezync_shared.tokens.verifier import TokenVerifier


class SocketDependencies(EngineSurroundings, Protocol):
    """The part of `Platform` that both stand on."""

    @property
    def credentials(self) -> Credentials: ...


class SocketsWithTransfers:
    """As `RealtimeEngine`, and chunks go through it.

    `store` and `commands`, the way of commands to chat, are started and closed here. `commands`
    None: they go the way of all other calls.
    """

    def __init__(
        self,
        *,
        settings: SocketSettings,
        platform: SocketDependencies,
        verifier: TokenVerifier,
        revocations: Revocations,
        store: ChunkStore,
        commands: PlainTransport | None = None,
    ) -> None:
        self._commands = commands
        services = Services.from_platform(platform)
        self.transfers = Transfers(
            platform=platform, store=store, calls=HttpTransferCalls(services)
        )
        self.engine = RealtimeEngine(
            settings=settings,
            platform=platform,
            verifier=verifier,
            revocations=revocations,
            peers=HttpPeers(
                services, ChatClient(commands, platform.credentials) if commands else None
            ),
            handlers=self.transfers.handlers,
            binary_handler=self.transfers.take_binary,
            chunk_handler=self.transfers.take_notice,
        )

    @property
    def ready(self) -> bool:
        """Whether sockets that come now would miss nothing."""
        return self.engine.ready

    async def start(self) -> None:
        """Begin to listen to the bus, which is started afterwards."""
        await self.transfers.start()
        if self._commands is not None:
            await self._commands.start()
        await self.engine.start()

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one WebSocket from its handshake to its end."""
        await self.engine.handle(scope, receive, send)

    async def drain(self, seconds: float) -> None:
        """Say goodbye to every socket, spread over at most so many seconds; take no new ones."""
        await self.engine.drain(seconds)

    async def aclose(self) -> None:
        """Stop everything; sockets that are still open are closed."""
        await self.engine.aclose()
        if self._commands is not None:
            await self._commands.aclose()
        await self.transfers.aclose()
