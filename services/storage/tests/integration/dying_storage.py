"""`sharezync_storage serve`, that kills itself at a moment that a test has named.

The file DIE_AT holds a moment, such as `before record 2`: at the second time from then on that
something is about to be recorded, the process is gone, as by a loss of power but for what the
kernel holds. Only what calls through is wrapped; everything else is the service itself, but that
it looks more often than every few seconds for what is due: a test waits for that at each moment.
"""

import functools
import multiprocessing
import os
import signal
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from multiprocessing import forkserver
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path
from types import ModuleType
from typing import Any, Final, NoReturn

import pytest

from sharezync_shared.cli import ServiceCommand
from sharezync_storage.app import create_app
from sharezync_storage.migrations import MIGRATIONS
from sharezync_storage.settings import StorageSettings
from sharezync_storage.stores.bucket import Bucket
from sharezync_storage.stores.disk import DiskStore
from sharezync_storage.stores.s3 import S3Store
from sharezync_storage.usecases import files, sweeping, tus_uploads
from sharezync_storage.usecases.assembler import Assembler
from sharezync_storage.usecases.writers import Leases

ASYNCHRONOUS: Final[dict[str, tuple[type | ModuleType, ...]]] = {
    "_claim": (tus_uploads,),
    "record": (Leases,),
    "let_go": (Leases,),
    "assemble": (DiskStore, S3Store),
    "discard": (DiskStore, S3Store),
    "_finish": (Assembler,),
    "stand": (files,),
    "put": (Bucket,),
    "delete": (Bucket,),
    "begin_parts": (Bucket,),
    "copy_part": (Bucket,),
    "complete_parts": (Bucket,),
}
"""Functions, and whose they are."""


class Death:
    """Counts moments, and comes with the one that was named."""

    def __init__(self, named: Path) -> None:
        self._named = named
        self._seen: Counter[tuple[str, str]] = Counter()

    def look(self, moment: str) -> None:
        """Be at a moment."""
        named = self._named.read_text() if self._named.exists() else ""
        if not named.startswith(f"{moment} "):
            return
        self._seen[named, moment] += 1
        if named == f"{moment} {self._seen[named, moment]}":
            os.kill(os.getpid(), signal.SIGKILL)

    def watch(self, owner: type | ModuleType, name: str) -> None:
        """Look before a function of `owner`, and after it."""
        real: Callable[..., Awaitable[Any]] = getattr(owner, name)

        @functools.wraps(real)
        async def watched(*given: Any, **named: Any) -> Any:
            self.look(f"before {name}")
            result = await real(*given, **named)
            self.look(f"after {name}")
            return result

        setattr(owner, name, watched)

    def watch_plain(self, owner: Any, name: str) -> None:
        """Look before a function of a module, and after it."""
        real: Callable[..., Any] = getattr(owner, name)

        def watched(*given: Any, **named: Any) -> Any:
            self.look(f"before {name}")
            result = real(*given, **named)
            self.look(f"after {name}")
            return result

        setattr(owner, name, watched)


def serve(environment: Mapping[str, str], folder: Path, log: Path) -> NoReturn:
    """Be the service, in a process that was forked for it; all that it prints goes to `log`."""
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    with log.open("ab") as out:
        for standard in (1, 2):
            os.dup2(out.fileno(), standard)
    death = Death(Path(os.environ["DIE_AT"]))
    for method, owners in ASYNCHRONOUS.items():
        for each in owners:
            death.watch(each, method)
    death.watch_plain(os, "fdatasync")
    death.watch_plain(os, "link")
    sweeping._POLL_SECONDS = 0.2  # type: ignore[misc]  # as above
    sys.exit(ServiceCommand("storage", StorageSettings, create_app, MIGRATIONS, {}).main(["serve"]))


@functools.cache
def _forking() -> ForkServerContext:
    """Return what forks processes from one that has imported all of this: it takes a second."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(path for path in sys.path if path))
        forkserver.ensure_running()
    return context


def start(environment: Mapping[str, str], folder: Path, log: Path) -> ForkServerProcess:
    """Start the service, with these variables and no others."""
    process = _forking().Process(target=serve, args=(environment, folder, log), daemon=True)
    process.start()
    return process
