"""HTTP to one server: tries again what is safe to try again, and raises problems."""

import asyncio
import itertools
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final, TypeVar

import httpx

from sharezync.backoff import jittered
from sharezync.problems import NotUnderstood, Problem, Unreachable
from sharezync.shapes import Answered, Document, member, not_understood, parsed

_REPEATABLE: Final = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})
_ELSEWHERE: Final = (
    "{} answers that it is elsewhere: give the address that it says in a browser, with its scheme"
)
_PASSES: Final = frozenset({502, 503, 504})
"""Trouble of the moment; something may have been done all the same."""
_OF_THE_BODY: Final = frozenset({"content-encoding", "content-length", "transfer-encoding"})
MOST_BYTES: Final = 16 * 1024 * 1024
"""Of an answer that is read as a whole. Files are read in pieces, as many as were announced."""
_MOST_PAGES: Final = 10_000
_NOTHING_SENT: Final = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)

Authorize = Callable[[bool], Awaitable[str]]
"""Returns a value for `Authorization`; with True another one, because the last was refused."""
A = TypeVar("A", bound=Answered)


class Http:
    """Requests to a server, on behalf of whomever `authorize` stands for.

    Tried again for `patience_seconds`, with growing pauses: what could not be sent at all, what was
    refused for coming too often (429), and of what breaks off or is answered 502, 503 or 504 that
    which may be repeated: every method but POST and PATCH, and those where the caller says so.
    """

    def __init__(
        self,
        client: httpx.AsyncClient,
        base_url: str,
        *,
        patience_seconds: float,
        authorize: Authorize | None = None,
    ) -> None:
        self.base_url = base_url
        self.patience_seconds = patience_seconds
        self._client = client
        self._authorize = authorize

    def on_behalf_of(self, authorize: Authorize | None) -> "Http":
        """Return the same for somebody else; None: for nobody."""
        return Http(
            self._client,
            self.base_url,
            patience_seconds=self.patience_seconds,
            authorize=authorize,
        )

    async def request(
        self,
        method: str,
        path: str,
        *,
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
        for attempt in itertools.count():
            failure: Problem | Unreachable
            try:
                async with self._opened(method, path, headers, options) as opened:
                    answer = await _read(opened)
            except Unreachable as error:
                failure = error
                again = safe or isinstance(error.__cause__, _NOTHING_SENT)
            else:
                if answer.is_success:
                    return answer
                if answer.is_redirect:
                    raise NotUnderstood(_ELSEWHERE.format(self.base_url))
                failure = Problem.of_answer(answer)
                again = answer.status_code == httpx.codes.TOO_MANY_REQUESTS or (
                    safe and answer.status_code in _PASSES
                )
            pause = jittered(attempt, asked_seconds=failure.retry_after_seconds)
            if not again or time.monotonic() + pause > until:
                raise failure
            await asyncio.sleep(pause)
        raise AssertionError  # attempts have no end

    @asynccontextmanager
    async def stream(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        **options: Any,  # noqa: ANN401 - what httpx takes
    ) -> AsyncGenerator[httpx.Response]:
        """Open an answer to be read in pieces. Tried once: who reads knows where to go on.

        Raises Problem, and Unreachable also in the midst of it.
        """
        async with self._opened(method, path, headers, options) as answer:
            if not answer.is_success:
                raise Problem.of_answer(await _read(answer))
            yield answer

    async def document(self, path: str, **parameters: object) -> Document:
        """Return what `GET` answers; parameters that are None are left out."""
        given = {name: value for name, value in parameters.items() if value is not None}
        return document_of(await self.request("GET", path, params=given))

    async def get(self, kind: type[A], path: str, **parameters: object) -> A:
        """Return what `GET` answers, as this type; parameters as of `document`."""
        return kind.of(await self.document(path, **parameters))

    async def send(
        self,
        kind: type[A],
        method: str,
        path: str,
        *,
        repeatable: bool | None = None,
        **options: Any,  # noqa: ANN401 - what httpx takes
    ) -> A:
        """Make a request as `request` does; return its answer as this type."""
        return kind.of(
            document_of(await self.request(method, path, repeatable=repeatable, **options))
        )

    async def items(
        self, kind: type[A], path: str, /, *, most: int | None = None, **parameters: object
    ) -> list[A]:
        """Return the items of a list, page by page, at most so many.

        Raises NotUnderstood for a list that has no end.
        """
        found: list[A] = []
        cursor: str | None = None
        for _ in range(_MOST_PAGES):
            page = await self.document(path, cursor=cursor, **parameters)
            items = member(page, "items", list[kind])  # type: ignore[valid-type]  # it is a type
            found += items
            cursor, before = page.get("next"), cursor
            enough = most is not None and len(found) >= most
            if enough or not items or cursor is None or cursor == before:
                return found[:most]
        raise NotUnderstood(f"The list {path} of {self.base_url} has no end")

    @asynccontextmanager
    async def _opened(
        self, method: str, path: str, headers: Mapping[str, str] | None, options: Mapping[str, Any]
    ) -> AsyncGenerator[httpx.Response]:
        """Open an answer, with another authorization where the first was refused.

        Raises Unreachable, and NotUnderstood for what can't be decoded, and for what is no path: a
        server may have named a part of it.
        """
        for refused in (False, True):
            sent = dict(headers or {})
            if self._authorize is not None:
                sent["Authorization"] = await self._authorize(refused)
            try:
                async with self._client.stream(method, path, headers=sent, **options) as answer:
                    unauthorized = answer.status_code == httpx.codes.UNAUTHORIZED
                    if unauthorized and self._authorize is not None and not refused:
                        continue
                    yield answer
                    return
            except httpx.TransportError as error:
                said = str(error) or type(error).__name__
                raise Unreachable(f"{self.base_url} can't be reached: {said}") from error
            except (httpx.InvalidURL, httpx.DecodingError) as error:
                raise not_understood(self.base_url) from error


async def _read(answer: httpx.Response) -> httpx.Response:
    """Return an answer with its body, decoded.

    Raises NotUnderstood for one that is too long, or was compressed twice: a few kilobytes of that
    are gigabytes at once.
    """
    body = bytearray()
    if "," in answer.headers.get("content-encoding", ""):
        raise not_understood(address_of(answer))
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
    """Return whom an answer is from, as it is said to people."""
    return str(answer.url.copy_with(query=None))
