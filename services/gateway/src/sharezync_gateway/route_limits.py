"""What the classes of the route table come to, by the settings."""

from collections.abc import Iterable

from sharezync_gateway.proxy.allowances import ConcurrencyLimits
from sharezync_gateway.proxy.bulkhead import BulkheadLimits
from sharezync_gateway.proxy.forward import RequestBounds
from sharezync_gateway.routes import BodyKind, RateClass, Route, Wait
from sharezync_gateway.settings import GatewaySettings


class RouteLimits:
    """The bounds of each route, made once."""

    def __init__(self, routes: Iterable[Route], settings: GatewaySettings) -> None:
        body_bytes = {
            BodyKind.JSON: settings.max_json_body_bytes,
            BodyKind.FILE: settings.max_file_body_bytes,
        }
        patience_seconds = {
            Wait.USUAL: settings.upstream_timeout_seconds,
            Wait.BYTES: settings.upstream_bytes_timeout_seconds,
            Wait.FOLLOW: settings.upstream_follow_timeout_seconds,
        }
        self._bounds = {
            route: RequestBounds(
                body_bytes=body_bytes[route.body],
                patience_seconds=patience_seconds[route.wait],
                client_idle_seconds=settings.client_idle_seconds,
                whole_within_seconds=(
                    settings.client_body_seconds if route.body is BodyKind.JSON else None
                ),
                is_long=route.body is BodyKind.FILE or route.wait is not Wait.USUAL,
            )
            for route in routes
        }

    def for_route(self, route: Route) -> RequestBounds:
        """Return how much a request on this route may carry, and how long it may take."""
        return self._bounds[route]


def lanes(settings: GatewaySettings) -> ConcurrencyLimits:
    """Return how many requests to one service may be under way."""
    places = BulkheadLimits(
        total=max(1, settings.upstream_connections // 2),
        per_caller=settings.upstream_requests_per_caller,
        wait_seconds=settings.upstream_queue_seconds,
    )
    return ConcurrencyLimits(short=places, long=places)


def rates(settings: GatewaySettings) -> dict[RateClass, str]:
    """Return the rate limit of each class, as in "300/minute"; empty is none."""
    return {
        RateClass.STANDARD: settings.rate_limit_standard,
        RateClass.COSTLY: settings.rate_limit_costly,
        RateClass.BYTES: settings.rate_limit_bytes,
        RateClass.PUBLIC: settings.rate_limit_public,
        RateClass.SIGN_IN: settings.rate_limit_sign_in,
        RateClass.SOCKETS: settings.rate_limit_sockets,
    }
