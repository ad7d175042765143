"""What the gateway depends on, and what is degraded without each: for `/ready` and its gauge."""

from collections.abc import Callable, Mapping

from sharezync_gateway.lifespan import SocketEngine
from sharezync_gateway.rate_limits import RateLimiter
from sharezync_shared.health import Dependency, DependencyDown
from sharezync_shared.tokens.jwks import JwksKeys
from sharezync_shared.tokens.keys import KeySource

_CLOSED = "closed"


def dependencies(
    *,
    keys: KeySource,
    sockets: SocketEngine,
    limits: RateLimiter,
    breakers: Callable[[], Mapping[str, str]],
) -> dict[str, Dependency]:
    """Return them by name; `breakers` says how the breaker of each service stands."""

    async def delivers() -> bool:
        return sockets.delivering

    async def counts_together() -> bool:
        return bool(limits.counts_together)

    found = {
        "keys": Dependency(
            check=_KeysHad(keys), degraded="No token can be verified", needed_to_start=True
        ),
        "broker": Dependency(
            check=delivers,
            degraded="Events reach sockets a second later; presence and typing are not sent",
            from_memory=True,
        ),
        **{service: _service(service, breakers) for service in breakers()},
    }
    if limits.counts_together is not None:
        found["redis"] = Dependency(
            check=counts_together,
            degraded="Each replica counts rates by itself",
            from_memory=True,
        )
    return found


def _service(name: str, breakers: Callable[[], Mapping[str, str]]) -> Dependency:
    async def answers() -> bool:
        state = breakers()[name]
        if state != _CLOSED:
            raise DependencyDown(f"the circuit breaker is {state}")
        return True

    return Dependency(
        check=answers, degraded=f"What {name} serves is refused with 503", from_memory=True
    )


class _KeysHad:
    """Whether the keys of tokens were ever had; fetches them until then."""

    def __init__(self, keys: KeySource) -> None:
        self._keys = keys
        self._had = False

    async def __call__(self) -> bool:
        if not self._had and isinstance(self._keys, JwksKeys):
            await self._keys.refresh()
        self._had = True
        return True
