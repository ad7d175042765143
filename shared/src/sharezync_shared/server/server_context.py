"""What the connections of a server share, how far one is, and how the server leaves."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import NamedTuple

from sharezync_shared.server.connections import ConnectionLimits
from sharezync_shared.server.outgoing import OutgoingWatch
from sharezync_shared.server.settings import ServerSettings
from sharezync_shared.server.turns import Turns

DrainHook = Callable[[float], Awaitable[None]]
"""Called once, with the seconds it may take; what takes longer is cancelled."""


class DrainStep(NamedTuple):
    name: str
    hook: DrainHook


class Draining:
    """Whether this process is leaving, and what it does first. One for each server.

    `/ready` reads `active`, so that no new work is routed here; whoever must say goodbye
    (sockets) or finish something (an outbox) registers a step.
    """

    def __init__(self) -> None:
        self.active = False
        self.before_requests_end: list[DrainStep] = []
        self.after_requests_end: list[DrainStep] = []

    def add(self, name: str, hook: DrainHook, *, after_requests: bool = False) -> None:
        """Have `hook` run when the server stops; steps run one after the other, as added.

        Steps run while the listeners are open and requests are answered, or, with
        `after_requests`, when the last request has been answered: what a request leaves behind is
        there by then. A step that fails or is cut off is logged, and the next one runs.
        """
        steps = self.after_requests_end if after_requests else self.before_requests_end
        steps.append(DrainStep(name, hook))

    def begin(self) -> None:
        """Be not ready from now on; there is no way back."""
        self.active = True

    @property
    def staying(self) -> bool:
        """Whether this process is not leaving: what `/ready` asks."""
        return not self.active


class Phase(Enum):
    """What an HTTP connection waits for."""

    HEAD = auto()
    """The next request may come, or its head is on its way."""
    BODY = auto()
    """A request's body is on its way."""
    ANSWER = auto()
    """The request has come whole, and its answer is not sent."""
    CLOSING = auto()
    """What comes is thrown away: the last answer was given."""


@dataclass(frozen=True, slots=True)
class ServerContext:
    """One of each for a server."""

    settings: ServerSettings
    limits: ConnectionLimits
    outgoing: OutgoingWatch
    turns: Turns
    """For requests that begin."""
    more_turns: Turns
    """For whoever has more to say than is parsed in one turn."""
