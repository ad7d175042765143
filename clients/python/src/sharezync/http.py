"""HTTP to one server: tries again what is safe to try again, and raises problems."""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

import httpx

from sharezync.pauses import jittered
from sharezync.problems import NotUnderstood, Problem, Unreachable

_REPEATABLE: Final = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})
_ELSEWHERE: Final = (
    "{} answers that it is elsewhere: give the address that it says in a browser, with its scheme"
)
_PASSES: Final = frozenset({502, 503, 504})
"""Trouble of the moment; something may have been done all the same."""
_NOTHING_SENT: Final = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)

Authorize = Callable[[bool], Awaitable[str]]
"""Returns an access token; with True a fresh one, because the last was refused."""


class Http:
    """Requests to `base_url`.

    Tried again for `patience_seconds`, with growing pauses: what could not be sent at all, what was
    refused for coming too often (429), and of what breaks off or is answered 502, 503 or 504 that
    which may be repeated: every method but POST and PATCH, and those where the caller says so.
    """

    def __init__(self, client: httpx.AsyncClient, *, patience_seconds: float = 30.0) -> None:
        self.client = client
        self.patience_seconds = patience_seconds

    async def request(
        self,
        method: str,
        path: str,
        *,
        authorize: Authorize | None = None,
        repeatable: bool | None = None,
        headers: Mapping[str, str] | None = None,
        **options: Any,  # noqa: ANN401 - what httpx takes
    ) -> httpx.Response:
        """Return the answer, read, if it isn't an error.

        Raises Problem, NotUnderstood for a redirect, and Unreachable.
        """
        safe = method in _REPEATABLE if repeatable is None else repeatable
        until = time.monotonic() + self.patience_seconds
        renewed = False
        attempt = 0
        while True:
            sent = dict(headers or {})
            if authorize is not None:
                sent["Authorization"] = f"Bearer {await authorize(False)}"
            failure: Problem | Unreachable
            again: bool
            try:
                answer = await self.client.request(method, path, headers=sent, **options)
            except httpx.TransportError as error:
                failure = unreachable(self.client.base_url, error)
                again = safe or isinstance(error, _NOTHING_SENT)
            else:
                if answer.is_success:
                    return answer
                if answer.is_redirect:
                    raise NotUnderstood(_ELSEWHERE.format(self.client.base_url))
                failure = Problem.of_answer(answer)
                if answer.status_code == httpx.codes.UNAUTHORIZED and authorize and not renewed:
                    renewed = True  # nothing was done: any request may come again
                    await authorize(True)
                    continue
                again = answer.status_code == httpx.codes.TOO_MANY_REQUESTS or (
                    safe and answer.status_code in _PASSES
                )
            asked = failure.retry_after_seconds if isinstance(failure, Problem) else None
            pause = jittered(attempt, asked_seconds=asked)
            if not again or time.monotonic() + pause > until:
                raise failure
            attempt += 1
            await asyncio.sleep(pause)

    @asynccontextmanager
    async def stream(
        self,
        method: str,
        path: str,
        *,
        authorize: Authorize | None = None,
        headers: Mapping[str, str] | None = None,
        **options: Any,  # noqa: ANN401 - what httpx takes
    ) -> AsyncGenerator[httpx.Response]:
        """Open an answer to be read in pieces. Tried once: who reads knows where to go on.

        Raises Problem, and Unreachable also in the midst of it.
        """
        for fresh in (False, True):
            sent = dict(headers or {})
            if authorize is not None:
                sent["Authorization"] = f"Bearer {await authorize(fresh)}"
            try:
                async with self.client.stream(method, path, headers=sent, **options) as answer:
                    refused = answer.status_code == httpx.codes.UNAUTHORIZED
                    if refused and authorize is not None and not fresh:
                        continue
                    if not answer.is_success:
                        await answer.aread()
                        raise Problem.of_answer(answer)
                    yield answer
                    return
            except httpx.TransportError as error:
                raise unreachable(self.client.base_url, error) from error


def document_of(answer: httpx.Response) -> dict[str, Any]:
    """Return the JSON object that an answer is. Raises NotUnderstood for anything else."""
    with suppress(ValueError, RecursionError):
        document = answer.json()
        if isinstance(document, dict):
            return document
    raise NotUnderstood(
        f"What answers at {answer.url.copy_with(query=None)} is no ShareZync server"
    )


def unreachable(base_url: object, error: Exception) -> Unreachable:
    """Return what a transport's error means to a person."""
    said = str(error) or type(error).__name__
    return Unreachable(f"{base_url} can't be reached: {said}")
