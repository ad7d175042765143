"""Who else waits for chunks of a transfer here: those that read a file over HTTP."""

from typing import Protocol
from uuid import UUID


class Follower(Protocol):
    """Somebody who wants to know of a transfer's chunks as they are stored. Called at once."""

    def takes_fresh(self, file: int, index: int) -> bool:
        """Whether a chunk that is stored now will be sent soon."""
        ...

    def announce(self, file: int, index: int) -> None:
        """A chunk is stored."""
        ...

    def changed(self) -> None:
        """Something else about the transfer is not as it was."""
        ...


class Followers:
    """The followers of each transfer on this node."""

    def __init__(self) -> None:
        self._by_transfer: dict[UUID, set[Follower]] = {}

    def add(self, transfer_id: UUID, follower: Follower) -> None:
        """Tell a follower of everything from now on."""
        self._by_transfer.setdefault(transfer_id, set()).add(follower)

    def remove(self, transfer_id: UUID, follower: Follower) -> None:
        """Tell it no more. Safe to repeat."""
        members = self._by_transfer.get(transfer_id)
        if members is not None:
            members.discard(follower)
            if not members:
                del self._by_transfer[transfer_id]

    def for_transfer(self, transfer_id: UUID) -> tuple[Follower, ...]:
        """Return those of a transfer."""
        return tuple(self._by_transfer.get(transfer_id, ()))
