"""What a database has to do with it that a process or a command doesn't start."""

from collections.abc import Generator
from contextlib import contextmanager

from sharezync_shared.db.migrations import SchemaTooOld
from sharezync_shared.db.outages import is_outage, outage_in_words
from sharezync_shared.start_refused import StartRefused


@contextmanager
def database_explained() -> Generator[None]:
    """Raise StartRefused where the database is away, or its schema too old."""
    try:
        yield
    except SchemaTooOld as refusal:
        raise StartRefused(str(refusal)) from None
    except Exception as error:
        if not is_outage(error):
            raise
        raise StartRefused(outage_in_words(error)) from None
