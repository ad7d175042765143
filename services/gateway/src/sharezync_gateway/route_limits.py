"""What the classes of the route table come to, by the settings.

Each class has a setting, by its name: one that has none is an error of the import.
"""

from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Final, TypeVar

from sharezync_gateway.proxy.bulkhead import BulkheadLimits
from sharezync_gateway.proxy.incoming import RequestBounds
from sharezync_gateway.routes import BodyKind, RateClass, Route, Wait
from sharezync_gateway.settings import GatewaySettings

AnyClass = TypeVar("AnyClass", bound=Enum)


def settings_of(classes: Iterable[AnyClass], pattern: str = "{}") -> Mapping[AnyClass, str]:
    """Return the setting of each class: `pattern`, with its value in the braces.

    Raises TypeError if `GatewaySettings` lacks one.
    """
    named = {each: pattern.format(each.value) for each in classes}
    for each, setting in named.items():
        if setting not in GatewaySettings.model_fields:
            raise TypeError(f"{each} has no limit: the settings need a field {setting!r}")
    return named


_RATES: Final = settings_of(set(RateClass) - {RateClass.FREE}, "rate_limit_{}")
_BODY_BYTES: Final = settings_of(BodyKind)
_WAIT_SECONDS: Final = settings_of(Wait)


def request_bounds(
    routes: Iterable[Route], settings: GatewaySettings
) -> Mapping[Route, RequestBounds]:
    """Return how much a request on each route may carry, and how long it may take."""
    return {
        route: RequestBounds(
            body_bytes=getattr(settings, _BODY_BYTES[route.body]),
            patience_seconds=getattr(settings, _WAIT_SECONDS[route.wait]),
            client_idle_seconds=settings.client_idle_seconds,
            whole_within_seconds=(
                settings.client_body_seconds if route.body is BodyKind.JSON else None
            ),
            is_long=route.body is BodyKind.FILE or route.wait is not Wait.USUAL,
        )
        for route in routes
    }


def concurrency_limits(settings: GatewaySettings) -> BulkheadLimits:
    """Return how many short requests to one service may be under way, and how many long ones."""
    return BulkheadLimits(
        total=max(1, settings.upstream_connections // 2),
        per_caller=settings.upstream_requests_per_caller,
        wait_seconds=settings.upstream_queue_seconds,
    )


def rates(settings: GatewaySettings) -> dict[RateClass, str]:
    """Return the rate limit of each class, as in "300/minute"; empty is none."""
    return {rate: getattr(settings, setting) for rate, setting in _RATES.items()}
