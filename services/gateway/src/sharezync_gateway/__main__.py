"""`python -m sharezync_gateway serve|openapi`."""

import argparse
import asyncio
import sys
from collections.abc import Sequence
from importlib.metadata import version

from sharezync_gateway.app import create_app, http_upstreams
from sharezync_gateway.openapi.catalogue import Catalogue
from sharezync_gateway.openapi.own import own_document
from sharezync_gateway.realtime import SOCKETS
from sharezync_gateway.routes import GATEWAY, ROUTES
from sharezync_gateway.routing import RouteTable
from sharezync_gateway.settings import GatewaySettings
from sharezync_shared.observability import configure_logging
from sharezync_shared.platform import fleet_platform
from sharezync_shared.server import run, serve, server_settings
from sharezync_shared.settings import read_settings
from sharezync_shared.start_refused import explained


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command that `arguments` (None: the process's) name; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m sharezync_gateway")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("serve", help="serve until SIGTERM or SIGINT (settings: README)")
    commands.add_parser("openapi", help="print the merged OpenAPI document of the running services")
    chosen = parser.parse_args(arguments)
    with explained():
        settings = read_settings(GatewaySettings)
        configure_logging(
            settings.log_level, settings.log_format, GATEWAY, error_hook=settings.error_hook
        )
        if chosen.command == "openapi":
            return asyncio.run(_print_openapi(settings))
        run(_serve(settings))
    return 0


async def _serve(settings: GatewaySettings) -> None:
    platform = fleet_platform(settings, GATEWAY)
    await serve(
        create_app(settings, platform),
        server_settings(
            settings,
            websockets=SOCKETS,
            max_connections_per_address=settings.max_connections_per_address,
            trusted_proxies=settings.trusted_proxies,
        ),
        draining=platform.draining,
        registry=platform.registry,
    )


async def _print_openapi(settings: GatewaySettings) -> int:
    """Print what the running services say; 1 if one of them could not be asked."""
    upstreams = http_upstreams(settings)
    routes = RouteTable(ROUTES, services={GATEWAY, *upstreams})
    catalogue = Catalogue(
        upstreams,
        routes,
        own=own_document(),
        version=version("sharezync-gateway"),
        keep_seconds=0,
    )
    for upstream in upstreams.values():
        await upstream.start()
    try:
        sys.stdout.buffer.write(await catalogue.merged() + b"\n")
    finally:
        for upstream in upstreams.values():
            await upstream.aclose()
    for service in catalogue.missing:
        sys.stderr.write(f"{service} did not answer at {settings.service_urls[service]}\n")
    return 1 if catalogue.missing else 0


if __name__ == "__main__":
    sys.exit(main())
