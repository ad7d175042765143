"""How many connections there may be: in all, and from one address. WebSockets count as well."""

import contextlib
import sys
import time
from collections.abc import Callable
from functools import lru_cache, partial
from ipaddress import ip_address
from typing import Final

import structlog

from sharezync_shared.addresses import bucket_of
from sharezync_shared.problems import RateLimited, Unavailable
from sharezync_shared.server.settings import ServerSettings

log = structlog.get_logger()

_SHARE_OF_FILES: Final = 0.75  # of what a process may have open; the rest is for what it does
_LOG_EVERY_SECONDS: Final = 10.0
_RETRY_SECONDS: Final = 10.0
_MAX_REFUSED: Final = 256
"""How many that are refused stay at once until they have read why. Beyond it they are closed at
once, which most take for a broken connection: their requests, on the way, reset it."""


class ConnectionLimits:
    """Counts the connections of one server."""

    def __init__(self, settings: ServerSettings) -> None:
        self._most = min(settings.max_connections, _most_files())
        self._most_per_address = settings.max_connections_per_address
        self._exempt = settings.trusted_proxies
        self._is_exempt = lru_cache(1024)(self._look_up)
        self._by_address: dict[str, int] = {}
        self._refused = 0
        self.open = 0
        """How many there are now, without those that are refused."""
        self._logged_at = -_LOG_EVERY_SECONDS

    def enter(self, address: str) -> Callable[[], None]:
        """Count one more from `address`, and return what must be called once when it is closed.

        Raises RateLimited where that address has too many, and Unavailable where all have.
        """
        if self.open >= self._most:
            self._log_refusal("all")
            raise Unavailable("Too many connections", retry_after_seconds=_RETRY_SECONDS)
        bucket = bucket_of(address)
        count = self._by_address.get(bucket, 0)
        if (
            self._most_per_address is not None
            and count >= self._most_per_address
            and not self._is_exempt(address)
        ):
            self._log_refusal("address")
            raise RateLimited(
                "Too many connections from your address",
                retry_after_seconds=_RETRY_SECONDS,
            )
        self.open += 1
        self._by_address[bucket] = count + 1
        return partial(self._leave, bucket)

    def enter_refused(self) -> Callable[[], None] | None:
        """Count one more that is refused and may stay until it has read why; None: at once.

        To be called as what `enter` returns: once, when it is closed.
        """
        if self._refused >= _MAX_REFUSED:
            return None
        self._refused += 1
        return self._leave_refused

    def _leave_refused(self) -> None:
        self._refused -= 1

    def _leave(self, bucket: str) -> None:
        self.open -= 1
        self._by_address[bucket] -= 1
        if not self._by_address[bucket]:
            del self._by_address[bucket]

    def _look_up(self, address: str) -> bool:
        try:
            parsed = ip_address(address)
        except ValueError:
            return False
        return any(parsed in network for network in self._exempt)

    def _log_refusal(self, limit: str) -> None:
        # Who runs this should know, and a flood must not fill the log.
        now = time.monotonic()
        if now - self._logged_at >= _LOG_EVERY_SECONDS:
            self._logged_at = now
            log.warning("connections_refused", limit=limit, open=self.open)


def raise_file_limit() -> None:
    """Let this process have as many files and sockets open as it is allowed to ask for."""
    if sys.platform != "win32":
        import resource  # noqa: PLC0415 - there is none on Windows

        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        with contextlib.suppress(OSError, ValueError):  # a system that has no such number
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _most_files() -> int:
    # Beyond it every connection, also to a service or the database, fails with EMFILE.
    if sys.platform == "win32":
        return sys.maxsize
    import resource  # noqa: PLC0415 - as above

    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return sys.maxsize if allowed == resource.RLIM_INFINITY else int(allowed * _SHARE_OF_FILES)
