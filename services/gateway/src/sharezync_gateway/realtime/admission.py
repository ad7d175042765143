"""How many sockets this process serves, and of whom: what is decided before one is opened.

A process has so much memory and so many file descriptors. Sockets whose user isn't known yet may
take only a part of them, and one address only a part of that, so that who knocks without a token
keeps nobody out who has one.
"""

from collections import Counter
from typing import Final

from sharezync_gateway.realtime.budget import Budget, BudgetVerdict
from sharezync_gateway.realtime.socket_limits import SocketLimits
from sharezync_shared.addresses import bucket_of
from sharezync_shared.problems import Problem, RateLimited, Unavailable

_UNAUTHENTICATED_SHARE: Final = 10
"""One in so many. Each has 5 s, and who is served needs a round trip: thousands a second."""
_ADDRESS_SHARE: Final = 4
"""Of those, one in so many for one address. An office has hundreds behind one."""
_LEAST: Final = 4
"""Of either, however few sockets there may be."""
_RETRY_SECONDS: Final = 5
_STARTS_PER_SECOND: Final = 2.0
"""Sockets that one user opens, on average; for each, three services say where the streams stand,
and auth notes a device that comes and goes."""
_STARTS_BURST: Final = 5.0
"""As many at once, for each that a user may have: all reconnect together, and some once more."""


class Slot:
    """What one socket takes up, until `leave`."""

    __slots__ = ("_address", "_admission")

    def __init__(self, admission: "Admission", address: str | None) -> None:
        self._admission: Admission | None = admission
        self._address = address

    def authenticated(self) -> None:
        """The socket's user is known now. Safe to repeat."""
        if self._admission is not None and self._address is not None:
            self._admission.forget_address(self._address)
            self._address = None

    def leave(self) -> None:
        """The socket is gone. Safe to repeat."""
        if self._admission is not None:
            self.authenticated()
            self._admission.open -= 1
            self._admission = None


class Admission:
    """Counts the sockets of this process."""

    def __init__(self, limits: SocketLimits) -> None:
        self._most = limits.max_connections
        self._most_unauthenticated = max(_LEAST, self._most // _UNAUTHENTICATED_SHARE)
        self._most_of_address = max(_LEAST, self._most_unauthenticated // _ADDRESS_SHARE)
        self._starts_burst = _STARTS_BURST * limits.max_connections_per_user
        self._starts: dict[str, Budget] = {}
        self._by_address: Counter[str] = Counter()
        self.open = 0
        """Sockets there are."""
        self.unauthenticated = 0
        """Those of them whose user isn't known."""

    def admit(self, address: str, *, authenticated: bool) -> Slot:
        """Count one more socket, from `address`.

        Raises Unavailable where this process has as many as it may, and RateLimited where the
        address has; nothing is counted then.
        """
        if self.open >= self._most:
            raise _full("The limit of connections to this server is reached")
        if authenticated:
            self.open += 1
            return Slot(self, None)
        bucket = bucket_of(address)
        if self._by_address[bucket] >= self._most_of_address:
            raise RateLimited(
                "Too many unauthenticated connections from your address",
                retry_after_seconds=_RETRY_SECONDS,
            )
        if self.unauthenticated >= self._most_unauthenticated:
            raise _full("Too many unauthenticated connections: send the token in the handshake")
        self.open += 1
        self.unauthenticated += 1
        self._by_address[bucket] += 1
        return Slot(self, bucket)

    def forget_address(self, bucket: str) -> None:
        """For `Slot`: one of the unauthenticated is none any more."""
        self.unauthenticated -= 1
        self._by_address[bucket] -= 1
        if not self._by_address[bucket]:
            del self._by_address[bucket]

    def may_start(self, user_id: str, now: float) -> bool:
        """Count one socket that a user opens; False where it is one of too many in a short time."""
        budget = self._starts.get(user_id)
        if budget is None:
            budget = self._starts[user_id] = Budget(_STARTS_PER_SECOND, self._starts_burst, now)
        return budget.spend(now) is BudgetVerdict.GO

    def sweep(self, now: float) -> None:
        """Forget users who have opened no socket for so long that they may open all at once."""
        for user_id in [u for u, budget in self._starts.items() if budget.is_full(now)]:
            del self._starts[user_id]


def _full(detail: str) -> Problem:
    return Unavailable(detail, retry_after_seconds=_RETRY_SECONDS)
