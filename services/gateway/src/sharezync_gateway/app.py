"""The gateway's wiring, on one screen."""

from collections.abc import Mapping
from importlib.metadata import version

from starlette.types import ASGIApp

from sharezync_gateway.addresses import Addresses
from sharezync_gateway.asyncapi import AsyncApi
from sharezync_gateway.gateway_app import GatewayApp, RequestAdmission
from sharezync_gateway.health import dependencies
from sharezync_gateway.lifespan import GatewayLifespan, SocketEngine
from sharezync_gateway.middleware import with_cors, with_public_url, with_tus
from sharezync_gateway.openapi.catalogue import Catalogue
from sharezync_gateway.openapi.own import own_document
from sharezync_gateway.pages import Pages
from sharezync_gateway.proxy.forward import Proxy
from sharezync_gateway.proxy.http import HttpUpstream
from sharezync_gateway.proxy.upstream import Upstream
from sharezync_gateway.rate_limits import RateLimiter, make_counts
from sharezync_gateway.realtime.socket_limits import SocketLimits
from sharezync_gateway.route_limits import concurrency_limits, rates, request_bounds
from sharezync_gateway.routes import GATEWAY, ROUTES, SOCKET_ROUTES
from sharezync_gateway.routing import RouteTable
from sharezync_gateway.settings import GatewaySettings
from sharezync_gateway.transfers.core.chunk_store import ChunkStore, chunks_over_http
from sharezync_gateway.transfers.http.requests import RequestHandler
from sharezync_gateway.transfers.http.routes import TransferRoutes
from sharezync_gateway.transfers.socket.socket_transfers import EngineWithTransfers
from sharezync_gateway.zync.routes import ZYNC_ROUTES, ZyncRoutes
from sharezync_gateway.zync.socket import ZyncSockets
from sharezync_shared.asgi.middleware import RequestLayer
from sharezync_shared.calls.transports import PlainTransport
from sharezync_shared.health import Health
from sharezync_shared.metrics import show_build
from sharezync_shared.platform import Platform, fleet_platform
from sharezync_shared.tokens.verifier import Revocations, TokenVerifier


def create_app(
    settings: GatewaySettings,
    platform: Platform | None = None,
    *,
    upstreams: Mapping[str, Upstream] | None = None,
    chunks: ChunkStore | None = None,
    sockets: SocketEngine | None = None,
) -> ASGIApp:
    """Return the gateway as an ASGI application; nothing is connected before its lifespan begins.

    `upstreams` leads to each service by name; None calls them over HTTP at the settings' URLs.
    `chunks` is the way of chunks to storage; None is HTTP again. `sockets` serves WebSockets; None
    is the realtime engine with transfers, and without it there are no transfers over HTTP.
    Raises ValueError for a route table that is not in order.
    """
    platform = platform or fleet_platform(settings, GATEWAY)
    show_build(platform.registry, GATEWAY, version("sharezync-gateway"))
    # To services in this process there is no shorter way than the one of all calls.
    breakers = platform.breakers
    commands = (
        None if upstreams else PlainTransport(settings.chat_url, breakers.for_service("chat"))
    )
    upstreams = upstreams or http_upstreams(settings)
    zync = ZyncRoutes(settings.public_url) if settings.compat_zync else None
    rows = (*ROUTES, *(ZYNC_ROUTES if zync else ()))
    routes = RouteTable(rows, services={GATEWAY, *upstreams})
    revocations = Revocations(access_lifetime_seconds=settings.access_token_expire_minutes * 60)
    verifier = TokenVerifier(
        platform.keys,
        issuer=settings.jwt_issuer,
        audience=settings.jwt_audience,
        revocations=revocations,
    )
    limits = RateLimiter(rates(settings), make_counts(settings.redis_url))
    admission = RequestAdmission(verifier, limits)
    handlers: dict[str, RequestHandler] = {}
    if sockets is None:
        sockets = EngineWithTransfers(
            limits=SocketLimits.from_settings(settings),
            platform=platform,
            verifier=verifier,
            revocations=revocations,
            store=chunks
            or chunks_over_http(
                settings.storage_url, platform.credentials, breakers.for_service("storage")
            ),
            commands=commands,
        )
        handlers = TransferRoutes(sockets.transfers, limits).by_route()
    proxy = Proxy(upstreams, concurrency_limits(settings), breakers)
    health = Health(
        GATEWAY,
        dependencies(keys=platform.keys, sockets=sockets, limits=limits, breakers=proxy.states),
        platform.registry,
        gates={
            "draining": lambda: platform.draining.staying,
            "revocations": lambda: sockets.ready,
        },
    )
    lifespan = GatewayLifespan(
        platform=platform, upstreams=upstreams, sockets=sockets, limits=limits, health=health
    )
    catalogue = Catalogue(
        upstreams,
        routes,
        own=own_document(),
        version=version("sharezync-gateway"),
        keep_seconds=settings.openapi_cache_seconds,
    )
    pages = Pages(
        health=health,
        catalogue=catalogue,
        asyncapi=AsyncApi(catalogue, version=version("sharezync-gateway")),
        version=version("sharezync-gateway"),
    )
    gateway_app = GatewayApp(
        routes=routes,
        socket_routes=RouteTable(SOCKET_ROUTES, services={GATEWAY}),
        admission=admission,
        addresses=Addresses(settings.trusted_proxies),
        proxy=proxy,
        bounds=request_bounds(rows, settings),
        pages=pages.by_route(),
        handlers={**handlers, **(zync.by_route() if zync else {})},
        sockets=ZyncSockets(sockets.handle) if zync else sockets.handle,
    )
    if zync:
        zync.app = gateway_app.request
    requests = RequestLayer(
        gateway_app.request,
        service=GATEWAY,
        metrics=platform.http_metrics,
        max_body_bytes=None,  # each route has its class
        access_log=settings.access_log,
        tracing=platform.tracing,
        for_strangers=True,
    )
    answers = with_public_url(with_tus(requests), settings.public_url)
    http = with_cors(answers, settings.frontend_origin)
    return lifespan.around(http=http, websocket=gateway_app.socket)


def http_upstreams(settings: GatewaySettings) -> dict[str, Upstream]:
    """Return the way to each service over HTTP."""
    return {
        name: HttpUpstream(
            url,
            connections=settings.upstream_connections,
            connect_timeout_seconds=settings.upstream_connect_timeout_seconds,
            max_age_seconds=settings.upstream_connection_max_age_seconds,
        )
        for name, url in settings.service_urls.items()
    }
