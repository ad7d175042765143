"""What is done to which part, and what a product must offer so that it can be done to it."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Protocol


class Fault(StrEnum):
    """What may become of a process or of a container."""

    KILL = "kill"
    """It ends at once (SIGKILL), and is started again."""
    STOP = "stop"
    """It is asked to end (SIGTERM; PostgreSQL: SIGINT), and is started again."""
    PAUSE = "pause"
    """It stands still, and the kernel goes on taking connections for it; then it goes on."""
    CUT = "cut"
    """It runs, and nothing reaches it nor leaves it; then the network is back."""


class Ground(Protocol):
    """A product that runs and can be hurt. `gateways` are the base URLs that clients know."""

    @property
    def name(self) -> str:
        """What it is made of, as the table says it."""

    @property
    def gateways(self) -> Sequence[str]: ...

    @property
    def victims(self) -> Sequence[str]: ...

    def strike(self, victim: str, fault: Fault) -> None:
        """Do it, and return when it is done."""

    def mend(self, victim: str, fault: Fault) -> None:
        """Undo it; a part that had ended has been started when this returns."""
