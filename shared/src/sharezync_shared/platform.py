"""What surrounds a service: the bus, the keys that tokens are verified with, the other services.

The same service runs in a process of its own (`fleet_platform`) or beside the four others in one
(the embedded composition makes its own `Platform`s); this object is the whole difference.
"""

from collections.abc import Callable
from functools import cache
from typing import Final

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport
from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector

from sharezync_shared.asgi.middleware import HttpMetrics
from sharezync_shared.calls.breaker import Breakers
from sharezync_shared.calls.client import Client, Credentials
from sharezync_shared.calls.connector import AgingConnector
from sharezync_shared.calls.transports import GuardedTransport, HttpxTransport
from sharezync_shared.events.bus import Bus
from sharezync_shared.events.contracts import published_by
from sharezync_shared.events.local import LocalBus
from sharezync_shared.events.rabbitmq import RabbitMQBus
from sharezync_shared.server import Draining
from sharezync_shared.settings import Settings
from sharezync_shared.tokens.credentials import ServiceCredentials, derive_service_secret
from sharezync_shared.tokens.jwks import JwksKeys, JwksMetrics
from sharezync_shared.tokens.keys import KeySource, SecretKeys
from sharezync_shared.tracing.setup import make_tracing
from sharezync_shared.tracing.spans import Tracing

EndpointFor = Callable[[str], tuple[str, httpx.AsyncBaseTransport]]
"""The base URL of a service by name, and the transport that reaches it."""

_CONNECTIONS: Final = 200
"""To each service; who finds none free waits `pool` seconds."""
_TIMEOUT = httpx.Timeout(10, connect=1, pool=2)


class Platform:
    """What one service needs of its surroundings. Owns the HTTP clients; the rest is lent."""

    def __init__(
        self,
        name: str,
        *,
        bus: Bus,
        registry: CollectorRegistry,
        http_metrics: HttpMetrics,
        service_secret: str,
        endpoint_for: EndpointFor,
        keys: KeySource | None = None,
        jwks_lifespan_seconds: float = 300,
        draining: Draining | None = None,
        owns_bus: bool = True,
        breakers: Breakers | None = None,
        tracing: Tracing | None = None,
    ) -> None:
        """`breakers` are those of all calls to other services, also beside `client`."""
        self.name = name
        self.draining = draining or Draining()
        self.bus = bus
        self.registry = registry
        self.breakers = breakers or Breakers(registry)
        self.http_metrics = http_metrics
        self.tracing = tracing or Tracing()
        self._endpoint_for = endpoint_for
        self._transports: list[httpx.AsyncBaseTransport] = []
        self._owns_bus = owns_bus
        base_url, transport = self._endpoint("auth")
        self._anonymous = httpx.AsyncClient(
            base_url=base_url, transport=transport, timeout=_TIMEOUT
        )
        self.keys: KeySource = keys or JwksKeys(
            self._anonymous,
            lifespan_seconds=jwks_lifespan_seconds,
            metrics=JwksMetrics(registry, name),
        )
        self.credentials = ServiceCredentials(self._anonymous, service=name, secret=service_secret)

    def client(self, kind: type[Client], credentials: Credentials | None = None) -> Client:
        """Return a client for what `contracts` declare of a service, e.g. an `AuthClient`.

        It carries this service's credentials, or those given. Short JSON calls only: bytes of files
        have ways of their own. Its connections are closed with the platform.
        """
        transport = HttpxTransport(*self._endpoint(kind.service))
        return kind(transport, credentials or self.credentials)

    def _endpoint(self, service: str) -> tuple[str, httpx.AsyncBaseTransport]:
        base_url, transport = self._endpoint_for(service)
        self._transports.append(transport)
        return base_url, transport

    async def start(self) -> None:
        """Start what is ours to start. Consumers and receivers must have been declared before."""
        if self._owns_bus:
            await self.bus.start()

    async def aclose(self) -> None:
        """Disconnect."""
        if self._owns_bus:
            await self.bus.aclose()
        for transport in self._transports:
            await transport.aclose()
        await self.breakers.aclose()
        await self.tracing.aclose()


def service_secret(settings: Settings, name: str) -> str:
    """Return the secret with which the service `name` asks auth for tokens."""
    if settings.service_secret is not None:
        return settings.service_secret.get_secret_value()
    return derive_service_secret(settings.require_secret_key(), name)


def key_source(settings: Settings) -> KeySource | None:
    """Return the keys of the one-secret mode, or None where auth's published keys are used."""
    return SecretKeys(settings.require_secret_key()) if settings.algorithm == "HS256" else None


def make_bus(settings: Settings, name: str, registry: CollectorRegistry) -> Bus:
    """Return the bus that the settings ask for."""
    if settings.amqp_url:
        return RabbitMQBus(
            settings.amqp_url,
            name=f"sharezync-{name}",
            registry=registry,
            publishes=published_by(name),
        )
    return LocalBus(registry=registry)


def _open_session() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=AgingConnector(limit=_CONNECTIONS), cookie_jar=aiohttp.DummyCookieJar()
    )


def fleet_platform(settings: Settings, name: str) -> Platform:
    """Return the surroundings of a service that runs in a process of its own."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)

    breakers = Breakers(registry, settings.service_urls)

    @cache  # all clients of one service share its connections
    def transport_to(service: str) -> httpx.AsyncBaseTransport:
        return GuardedTransport(
            AiohttpTransport(client=_open_session), breakers.for_service(service)
        )

    def endpoint_for(service: str) -> tuple[str, httpx.AsyncBaseTransport]:
        return settings.service_urls[service], transport_to(service)

    return Platform(
        name,
        bus=make_bus(settings, name, registry),
        registry=registry,
        http_metrics=HttpMetrics(registry),
        service_secret=service_secret(settings, name),
        endpoint_for=endpoint_for,
        keys=key_source(settings),
        jwks_lifespan_seconds=settings.jwks_lifespan_seconds,
        breakers=breakers,
        tracing=make_tracing(settings, name),
    )
