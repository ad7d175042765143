"""What both ways of receiving have in common: the files on this disk, and how far they are."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from sharezync.documents import Transfer
from sharezync.problems import Corrupt, TransferEnded
from sharezync.transfer.api import TransferApi
from sharezync.transfer.parts import Part
from sharezync.transfer.progress import OnProgress, Progress, Rate
from sharezync.transfer.received_files import Destination, ReceivedFiles


@dataclass(eq=False)
class Receiver(ABC):
    """Receives the accepted files of one transfer into a folder."""

    api: TransferApi
    transfer: Transfer
    destination: Destination
    on_progress: OnProgress
    chosen: Collection[int] | None
    """Which files; None: all."""

    def __post_init__(self) -> None:
        self._chosen = None if self.chosen is None else sorted(set(self.chosen))
        self._files = ReceivedFiles(self.destination, self.transfer)
        self._rate = Rate()
        self.progress = Progress(self.transfer, self.transfer.size_bytes)
        self.progress.learn(self.transfer)

    async def receive(self) -> list[Path]:
        """Have everything here, verified, under its name; return the files.

        Raises TransferEnded, Problem, Corrupt, UnsafePath, OSError, and what ended the way there.
        """
        wanted = self._chosen or [file.index for file in self.transfer.files]
        await asyncio.to_thread(self._files.open, wanted)
        self.progress.size_bytes = sum(part.size_bytes for part in self._parts.values())
        self.progress.resumed = self._files.resumed
        self.progress.folder = self._files.folder
        try:
            await self._fetch_all()
            return await asyncio.to_thread(self._files.finish, self.transfer)
        except (TransferEnded, Corrupt):
            if self._hopeless:
                await asyncio.to_thread(self._files.discard)
            raise
        finally:
            with suppress(OSError):  # so that the next run knows of all that is here
                await self._flush()

    @abstractmethod
    async def _fetch_all(self) -> None:
        """Have every chunk here, and know from the server that the roots are right."""

    @property
    @abstractmethod
    def _hopeless(self) -> bool:
        """Whether what has ended can never become complete."""

    @property
    def _parts(self) -> Mapping[int, Part]:
        return self._files.parts

    @property
    def _remaining(self) -> int:
        """How many chunks are not here."""
        return sum(part.remaining for part in self._parts.values())

    def _check_open(self) -> None:
        """Raise TransferEnded where nothing can come any more."""
        state = self.transfer.state
        if self.transfer.over:
            raise TransferEnded(state, "it was received elsewhere" if state == "completed" else "")

    async def _flush(self) -> None:
        def flush_parts() -> None:
            for part in self._parts.values():
                part.flush()

        await asyncio.to_thread(flush_parts)

    def _show_progress(self) -> None:
        received = sum(part.kept_bytes for part in self._parts.values())
        self.progress.received_bytes = received
        self.progress.stored_bytes = max(self.progress.stored_bytes, received)
        self.progress.rate = self._rate.note(received)
        self.on_progress(self.progress)
