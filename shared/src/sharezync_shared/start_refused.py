"""Why a process or a command doesn't start, for the person who started it."""

import sys
from collections.abc import Generator
from contextlib import contextmanager


class StartRefused(SystemExit):
    """Something has to be changed first: settings, or what they lead to. Exit status 2.

    `str` is one sentence that says what; `explained` shows it.
    """

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.code = 2


@contextmanager
def explained() -> Generator[None]:
    """Show on standard error why the work within doesn't start, and let the process end."""
    try:
        yield
    except StartRefused as refused:
        print(refused, file=sys.stderr)  # noqa: T201 - a command talks to a person
        raise
