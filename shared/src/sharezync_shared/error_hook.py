"""The one place where error trackers hear of exceptions that nobody handled.

Whatever logs an exception with its traceback passes by here: requests answered with 500, commands
and frames that failed, work in the background, and what asyncio itself finds.
"""

import logging
import sys
from collections.abc import Callable, Mapping
from importlib import import_module

from sharezync_shared.start_refused import StartRefused

ErrorHook = Callable[[BaseException, Mapping[str, object]], None]
"""Is given the exception and the members of its line of the log (`event`, `request_id`, …).

It is called on the event loop and must return at once. The members hold no contents; the exception
and its traceback may, in what a statement was given: an error tracker must be told to leave out
local variables.
"""


def load_error_hook(path: str) -> ErrorHook:
    """Return what `package.module:function` names. Raises StartRefused where there is no such."""
    module, _, name = path.partition(":")
    try:
        hook: ErrorHook = getattr(import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise StartRefused(f"ERROR_HOOK: {path} can't be imported: {error}") from error
    if not callable(hook):
        raise StartRefused(f"ERROR_HOOK: {path} is not callable")
    return hook


class ErrorHookHandler(logging.Handler):
    """Calls a hook with each exception that is logged as an error."""

    def __init__(self, hook: ErrorHook) -> None:
        super().__init__(logging.ERROR)
        self._hook = hook
        self._calling = False

    def emit(self, record: logging.LogRecord) -> None:
        """As `logging.Handler.emit`; what the hook fails at is logged, and goes no further."""
        # structlog's events are dicts until they are rendered.
        told = record.msg if isinstance(record.msg, dict) else {"event": record.getMessage()}
        error = _exception_in(told.get("exc_info") or record.exc_info)
        if error is None or self._calling:
            return
        self._calling = True  # what it logs itself is nothing to tell it of
        try:
            self._hook(error, {key: value for key, value in told.items() if key != "exc_info"})
        except Exception:
            logging.getLogger(__name__).exception("error_hook_failed")
        finally:
            self._calling = False


def _exception_in(told: object) -> BaseException | None:
    if isinstance(told, BaseException):
        return told
    if isinstance(told, tuple):
        return told[1] if isinstance(told[1], BaseException) else None
    return sys.exc_info()[1] if told else None
