"""How a command ends: what is said, and the exit status."""

import asyncio
from dataclasses import dataclass
from typing import Final

import click

from sharezync.problems import NotLoggedIn, Problem, SharezyncError, TransferEnded, Unreachable

DONE: Final = 0
FAILED: Final = 1
USAGE: Final = 2
NOT_LOGGED_IN: Final = 3
NETWORK: Final = 4
INTERRUPTED: Final = 130

_HINTS: Final = {
    "quota-exceeded": "Delete something you have stored, or send less.",
    "transfer-too-large": "Send it in several transfers.",
    "too-many-tries": "Wait a moment before you try again.",
    "other-device": "It is for another device of yours: receive it there.",
    "invalid-grant": "Check the name and the password.",
    "too-many-offers": "Wait until some of what you offered is answered.",
    "too-many-transfers": "Wait until some of what you send has ended, or cancel some.",
    "too-many-files": "Delete some of your files, or wait until some of what you send has ended.",
}
_LOGIN_CODES: Final = frozenset({4501, 4503})
_OVER: Final = {
    "rejected": "Nobody wants it.",
    "cancelled": "It was cancelled.",
    "expired": "Nobody took it in time. Send it again.",
    "failed": "What arrived is not what was sent. Send it again.",
}


@dataclass(frozen=True, slots=True)
class CommandOutcome:
    """What is said at the end, and the exit status."""

    code: str
    message: str
    hint: str = ""
    exit_status: int = FAILED


def outcome_of(error: BaseException) -> CommandOutcome:
    """Return how a command ends that this came out of."""
    if isinstance(error, (KeyboardInterrupt, asyncio.CancelledError, click.exceptions.Abort)):
        hint = "Run the same command again to go on where it was."
        return CommandOutcome("interrupted", "Interrupted.", hint, INTERRUPTED)
    if isinstance(error, NotLoggedIn) or getattr(error, "code", None) in _LOGIN_CODES:
        return CommandOutcome("not-logged-in", str(error), "Run: sharezync login", NOT_LOGGED_IN)
    if isinstance(error, Unreachable):
        hint = "Check the address (--url or SHAREZYNC_URL) and the network; then run it again."
        return CommandOutcome("unreachable", str(error), hint, NETWORK)
    return CommandOutcome(*_failure(error))


def _failure(error: BaseException) -> tuple[str, str, str]:
    """Return code, message and hint of what ends with 1."""
    match error:
        case TransferEnded(state=state):
            return f"transfer-{state}", str(error), _OVER.get(state, "")
        case Problem(code=code):
            return code, _with_fields(error), _HINTS.get(code, "")
        case SharezyncError():
            return "failed", str(error), ""
        case OSError():
            return "file", str(error), "Check the path, the rights and the space."
    return "bug", f"Something went wrong in this program: {error!r}", "Please report it."


def _with_fields(problem: Problem) -> str:
    errors = problem.extras.get("errors")
    wrong = [
        f"{str(each.get('field', '')).removeprefix('body.')}: {each.get('message', '')}"
        for each in (errors if isinstance(errors, list) else ())
        if isinstance(each, dict)
    ]
    return "; ".join([str(problem), *wrong])
