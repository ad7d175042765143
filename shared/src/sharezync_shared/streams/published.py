"""What a change answers with: the outcome, and where its event stands."""

from dataclasses import dataclass
from typing import Generic, TypeVar

from sharezync_shared.streams.log import StreamPosition

Outcome = TypeVar("Outcome")


@dataclass(frozen=True, slots=True)
class Published(Generic[Outcome]):
    """An outcome, and the position of the event that published it.

    `at` is None where nothing changed: all was as asked for already. `created` says whether a new
    thing came to be.
    """

    outcome: Outcome
    at: StreamPosition | None = None
    created: bool = False
