"""HTTP to one server: tries again what is safe to try again, and raises problems."""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

import httpx

from sharezync.pauses import jittered
from sharezync.problems import NotUnderstood, Problem, Unreachable
from sharezync.shapes import Document, not_understood, parsed

_REPEATABLE: Final = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})
_ELSEWHERE: Final = (
    "{} answers that it is elsewhere: give the address that it says in a browser, with its scheme"
)
_PASSES: Final = frozenset({502, 503, 504})
"""Trouble of the moment; something may have been done all the same."""
_OF_THE_BODY: Final = frozenset({"content-encoding", "content-length", "transfer-encoding"})
MOST_BYTES: Final = 16 * 1024 * 1024
"""Of an answer that is read as a whole. Files are read in pieces, as many as were announced."""
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

        Raises Problem, Unreachable, and NotUnderstood for a redirect, or what is longer than
        `MOST_BYTES` (those aren't tried again).
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
                async with self._opened(method, path, headers=sent, **options) as opened:
                    answer = await _read(opened)
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
    async def _opened(
        self,
        method: str,
        path: str,
        **options: Any,  # noqa: ANN401 - what httpx takes
    ) -> AsyncGenerator[httpx.Response]:
        """Open an answer. Raises NotUnderstood for what can't be decoded, and for what is no path:
        a server may have named a part of it.
        """
        try:
            async with self.client.stream(method, path, **options) as answer:
                yield answer
        except (httpx.InvalidURL, httpx.DecodingError) as error:
            raise not_understood(str(self.client.base_url)) from error

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
                async with self._opened(method, path, headers=sent, **options) as answer:
                    refused = answer.status_code == httpx.codes.UNAUTHORIZED
                    if refused and authorize is not None and not fresh:
                        continue
                    if not answer.is_success:
                        raise Problem.of_answer(await _read(answer))
                    yield answer
                    return
            except httpx.TransportError as error:
                raise unreachable(self.client.base_url, error) from error


async def _read(answer: httpx.Response) -> httpx.Response:
    """Return an answer with its body, decoded. Raises NotUnderstood for one that is too long."""
    body = bytearray()
    async for piece in answer.aiter_bytes():
        body += piece
        if len(body) > MOST_BYTES:
            most = f"{MOST_BYTES >> 20} MiB"
            raise NotUnderstood(f"The answer of {address_of(answer)} is longer than {most}")
    headers = [
        (name, value) for name, value in answer.headers.multi_items() if name not in _OF_THE_BODY
    ]
    return httpx.Response(
        answer.status_code, headers=headers, content=bytes(body), request=answer.request
    )


def document_of(answer: httpx.Response) -> Document:
    """Return the JSON object that an answer is. Raises NotUnderstood for anything else."""
    return parsed(answer.content, address_of(answer))


def address_of(answer: httpx.Response) -> str:
    """Return whom an answer is from, as it is told to people."""
    return str(answer.url.copy_with(query=None))


def unreachable(base_url: object, error: Exception) -> Unreachable:
    """Return what a transport's error means to a person."""
    said = str(error) or type(error).__name__
    return Unreachable(f"{base_url} can't be reached: {said}")
