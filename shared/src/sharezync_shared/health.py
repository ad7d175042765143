"""Whether a process should get requests, and what is degraded meanwhile: what `/ready` answers.

What all replicas share must not take all of them out at once: without the broker, a database or
another service a replica is still what serves requests best. So a dependency that goes away is told
of, in the answer and by a gauge, and does not count. Only one that was never there since the start
does: a replica that was started with a wrong address must not replace one that works.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import msgspec
import structlog
from prometheus_client import CollectorRegistry, Gauge

from sharezync_shared.background import Periodic
from sharezync_shared.metrics import shared_metric

log = structlog.get_logger()

_CHECK_SECONDS: Final = 2.0
_EVERY_SECONDS: Final = 5.0
"""Between two rounds of checks. Each asks the database, or the bucket, once for each replica."""
_STARTING_SECONDS: Final = 0.5
"""Between rounds while the process waits for what it can't start without."""


class DependencyDown(Exception):
    """Raised by a check. The text is told in `/ready` and in the log: no secrets."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dependency:
    """Something outside of the process."""

    check: Callable[[], Awaitable[bool]]
    """Whether it is there. May raise instead; must not wait in a queue that requests wait in."""
    degraded: str
    """What is degraded without it, in a few words for operators."""
    needed_to_start: bool = False
    """Whether it must have been there once before the process gets requests."""
    from_memory: bool = False
    """Whether the check asks nobody: then each answer has it as it is at that moment."""


class DependencyStatus(msgspec.Struct, frozen=True, omit_defaults=True):
    """How a dependency stands."""

    status: str
    """`up` or `down`."""
    degraded: str = ""
    detail: str = ""


class Readiness(msgspec.Struct, frozen=True):
    """The answer of `/ready`."""

    ready: bool
    status: str
    """`ok`, `degraded` (ready, but something is down), or `not_ready`."""
    blocked_by: list[str]
    """What must come true before the process is ready."""
    dependencies: dict[str, DependencyStatus]


class Health:
    """Checks what the service `name` depends on, now and then, and answers from memory.

    `gates` are what the process decides by itself, without asking anybody: while one is False, it
    is not ready.
    """

    def __init__(
        self,
        name: str,
        dependencies: Mapping[str, Dependency],
        registry: CollectorRegistry,
        *,
        gates: Mapping[str, Callable[[], bool]] | None = None,
        every_seconds: float = _EVERY_SECONDS,
    ) -> None:
        self._name = name
        self._dependencies = dict(dependencies)
        self._gates = dict(gates or {})
        self._every_seconds = every_seconds
        self._waiting = {n for n, each in dependencies.items() if each.needed_to_start}
        self._statuses: dict[str, DependencyStatus] = {}
        self._warned_of: set[str] = set()
        self._checking = asyncio.Lock()
        gauge = shared_metric(
            registry,
            Gauge,
            "sharezync_dependency_up",
            "Whether a service finds what it depends on: 1 up, 0 down",
            ("service", "dependency"),
        )
        self._gauges = {dependency: gauge.labels(name, dependency) for dependency in dependencies}

    async def readiness(self) -> Readiness:
        """Return what is known. Waits for nothing but the very first checks, 2 s at most."""
        if self._statuses.keys() != self._dependencies.keys():
            await self.check()
        await self._check_some({n for n, each in self._dependencies.items() if each.from_memory})
        blocked_by = [gate for gate, is_open in self._gates.items() if not is_open()]
        blocked_by += sorted(self._waiting)
        is_degraded = any(each.status == "down" for each in self._statuses.values())
        status = "not_ready" if blocked_by else "degraded" if is_degraded else "ok"
        return Readiness(not blocked_by, status, blocked_by, dict(self._statuses))

    async def check(self) -> None:
        """Check everything, at once; what takes over 2 s is down. One call after the other."""
        async with self._checking:
            await self._check_some(self._dependencies.keys())

    async def _check_some(self, names: Collection[str]) -> None:
        found = await asyncio.gather(*(self._status_of(self._dependencies[n]) for n in names))
        for name, status in zip(names, found, strict=True):
            self._note(name, status)

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Check every few seconds inside the block."""
        every = Periodic(
            self._check_again, name=f"{self._name}-health", every_seconds=self._every_seconds
        )
        async with every.running():
            yield

    async def _check_again(self) -> timedelta:
        await self.check()
        return timedelta(seconds=_STARTING_SECONDS if self._waiting else self._every_seconds)

    async def _status_of(self, dependency: Dependency) -> DependencyStatus:
        detail = ""
        try:
            async with asyncio.timeout(_CHECK_SECONDS):
                if await dependency.check():
                    return DependencyStatus("up")
        except DependencyDown as error:
            detail = str(error)
        except TimeoutError:
            detail = "no answer in time"
        except Exception as error:  # noqa: BLE001 - whatever a dependency raises, it is down
            detail = type(error).__name__  # its text may have an address or a name in it
        return DependencyStatus("down", dependency.degraded, detail)

    def _note(self, name: str, status: DependencyStatus) -> None:
        before = self._statuses.get(name)
        self._statuses[name] = status
        is_up = status.status == "up"
        self._gauges[name].set(is_up)
        if is_up:
            self._waiting.discard(name)
            if name in self._warned_of:
                self._warned_of.discard(name)
                log.info("dependency_up", service=self._name, dependency=name)
        elif name in self._warned_of:
            return
        elif before is not None or not self._dependencies[name].from_memory:
            # What the process itself has just begun to connect to is given a round.
            self._warned_of.add(name)
            log.warning(
                "dependency_down", service=self._name, dependency=name, detail=status.detail
            )
