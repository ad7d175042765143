"""Who on this node wants to know at once what happens to a transfer."""

from uuid import UUID

from sharezync_gateway.transfers.core.chunks import Place


class TransferListener:
    """Somebody who is told what happens to a transfer. None of these may block."""

    def takers(self, place: Place) -> int:  # noqa: ARG002 - for those that override it
        """Return how many will soon take a chunk, stored now, from memory."""
        return 0

    def chunk_stored(self, place: Place) -> None:
        """A chunk is stored."""

    def transfer_changed(self) -> None:
        """Something else about the transfer has changed."""


class TransferListeners:
    """The listeners of each transfer on this node."""

    def __init__(self) -> None:
        self._by_transfer: dict[UUID, set[TransferListener]] = {}

    def __len__(self) -> int:
        return len(self._by_transfer)

    def add(self, transfer_id: UUID, listener: TransferListener) -> None:
        """Tell a listener of everything from now on."""
        self._by_transfer.setdefault(transfer_id, set()).add(listener)

    def remove(self, transfer_id: UUID, listener: TransferListener) -> None:
        """Tell it no more. Safe to repeat."""
        members = self._by_transfer.get(transfer_id)
        if members is not None:
            members.discard(listener)
            if not members:
                del self._by_transfer[transfer_id]

    def for_transfer(self, transfer_id: UUID) -> tuple[TransferListener, ...]:
        """Return those of a transfer."""
        return tuple(self._by_transfer.get(transfer_id, ()))
