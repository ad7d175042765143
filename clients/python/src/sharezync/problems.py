"""What can go wrong, as exceptions. Every one of them is a `SharezyncError`."""

import math
from collections.abc import Mapping
from typing import Any

import httpx


class SharezyncError(Exception):
    """Something didn't work out; the text is fit to be shown to a person."""

    retryable = False
    """Whether it may go well if it is tried again."""
    retry_after_seconds: float | None = None
    """How long the server asks to wait before that."""


class Problem(SharezyncError):
    """The server refused (RFC 9457). `code` is the stable name to program against.

    `status` is the HTTP status, or None where it came down a socket. `extras` are the members that
    only this kind of problem has, such as `missing` or `limit_bytes`.
    """

    def __init__(
        self,
        code: str,
        detail: str,
        *,
        status: int | None = None,
        title: str = "",
        retryable: bool = False,
        retry_after_seconds: float | None = None,
        extras: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(detail or title or code)
        self.code = code
        self.detail = detail
        self.status = status
        self.title = title
        self.retryable = retryable
        self.retry_after_seconds = retry_after_seconds
        self.extras = dict(extras or {})

    @classmethod
    def of_answer(cls, answer: httpx.Response) -> "Problem":
        """Return what an answer with an error status says; its body has been read."""
        try:
            document = answer.json()
        except (ValueError, RecursionError):
            document = {}
        if not isinstance(document, dict):
            document = {}
        known = {"type", "title", "status", "detail", "code"}
        status = answer.status_code
        title = str(document.get("title", answer.reason_phrase))
        return cls(
            str(document.get("code", f"http-{status}")),
            str(document.get("detail", "")) or f"{title} ({status})",
            status=status,
            title=title,
            retryable=status in {429, 502, 503, 504},
            retry_after_seconds=_seconds(answer.headers.get("retry-after")),
            extras={name: value for name, value in document.items() if name not in known},
        )

    @classmethod
    def of_frame(cls, frame: Mapping[str, Any]) -> "Problem":
        """Return what an `error` frame says."""
        after_ms = frame.get("retry_after_ms")
        known = {"type", "id", "code", "message", "retryable", "retry_after_ms"}
        return cls(
            str(frame.get("code", "error")),
            str(frame.get("message", "")),
            retryable=bool(frame.get("retryable")),
            retry_after_seconds=_seconds(after_ms, per_second=1000),
            extras={name: value for name, value in frame.items() if name not in known},
        )


class NotLoggedIn(SharezyncError):
    """There are no tokens, or the login they belonged to has ended."""


class NotUnderstood(SharezyncError):
    """What was answered is nothing that a server of this API answers."""


class Unreachable(SharezyncError):
    """The server could not be reached, or broke off, for as long as was waited."""

    retryable = True


class SocketClosed(SharezyncError):
    """The server closed the socket and says not to come back; `code` says why."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason or f"the server closed the socket with {code}")
        self.code = code
        self.reason = reason


class TransferEnded(SharezyncError):
    """A transfer ended before it was through: `state` is rejected, cancelled, expired or failed."""

    def __init__(self, state: str, detail: str = "") -> None:
        super().__init__(detail or f"the transfer is {state}")
        self.state = state


class FileChanged(SharezyncError):
    """A file that is being sent is not what it was when it was offered."""


class Corrupt(SharezyncError):
    """What arrived is not what was sent, and asking again did not help."""


class UnsafePath(SharezyncError):
    """A received file can't be saved where it belongs without leaving the chosen folder."""


class AlreadyThere(SharezyncError):
    """Something has the name that a download was to get: it is left as it is."""


class TooMuch(SharezyncError):
    """More files than one transfer may have."""


def _seconds(given: object, *, per_second: int = 1) -> float | None:
    """Return what a server asks to wait; None for a date, or what is no time at all."""
    try:
        seconds = float(given) / per_second if isinstance(given, (str, int, float)) else math.nan
    except (ValueError, OverflowError):
        return None  # what waits by itself is patient enough
    return max(0.0, seconds) if math.isfinite(seconds) else None
