"""One request in the dialect, and the requests to this gateway that it is translated into."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode

import msgspec
from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive, Scope, Send

from sharezync_gateway.errors import BrokenAnswer
from sharezync_gateway.transfers.http.requests import RoutedRequest
from sharezync_gateway.zync.documents import Document
from sharezync_shared.problems import Invalid, Malformed
from sharezync_shared.sizes import MAX_TEXT_FRAME_BYTES

GatewayRequest = Callable[[Scope, Receive, Send], Awaitable[None]]
"""`GatewayApp.request`."""

_PASSED_ON: Final = frozenset({b"host", b"authorization", b"user-agent", b"x-forwarded-for",
                               b"x-forwarded-proto", b"x-forwarded-host"})  # fmt: skip
_OF_A_BODY: Final = frozenset({b"content-length", b"content-type", b"transfer-encoding", b"expect"})
_MOST_ANSWER_BYTES: Final = 4 * 1024 * 1024
_PAGE: Final = 100
_MOST_SKIPPED: Final = 10_000
"""Items that a list of theirs reads through; each hundred is a request of its own."""


class AnswerRefused(Exception):
    """A service refused what was asked: its answer is the answer."""

    def __init__(self, answer: "InnerAnswer") -> None:
        super().__init__(answer.status)
        self.answer = answer


@dataclass(slots=True)
class InnerAnswer:
    """What one of our own routes answered."""

    status: int
    headers: dict[bytes, bytes]
    body: bytes

    def json(self) -> Any:  # noqa: ANN401 - any JSON
        return msgspec.json.decode(self.body)


@dataclass(slots=True, kw_only=True)
class ZyncRequest:
    """What was asked, and by whom; `call` asks our own routes in their name."""

    routed: RoutedRequest
    app: GatewayRequest
    public_url: str | None
    """Where clients reach this gateway; None: at the Host that they name."""

    @property
    def user_id(self) -> str:
        """Who asks, on a route that takes a token."""
        return self.routed.caller.user_id

    def part(self, index: int) -> str:
        """Return a segment of the path, as it was escaped."""
        return self.routed.path.decode("ascii").split("/")[index]

    def query(self) -> dict[str, str]:
        return dict(parse_qsl(self.routed.scope["query_string"].decode("latin-1")))

    def span(self) -> tuple[int, int]:
        """Return what to `skip`, and the `limit`. Raises Invalid."""
        query = self.query()
        return _number(query, "skip", 0, _MOST_SKIPPED), _number(query, "limit", _PAGE, _PAGE)

    async def body(self, most_bytes: int = MAX_TEXT_FRAME_BYTES) -> Document:
        """Return the JSON object that came, empty for no body.

        Raises Malformed, TooLarge and ClientTooSlow.
        """
        bounds = self.routed.bounds
        body = self.routed.body(most_bytes)
        if not body.complete and not await body.gather(
            bounds.whole_within_seconds or bounds.client_idle_seconds, lambda _: True
        ):
            raise body.failure or ClientDisconnect
        raw, _ = await body.read()
        if not raw:
            return {}
        try:
            return msgspec.json.decode(raw, type=Document)
        except (msgspec.MsgspecError, RecursionError, UnicodeError) as error:
            raise Malformed("The body must be a JSON object") from error

    async def call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, object] | None = None,
        body: Document | None = None,
    ) -> InnerAnswer:
        """Ask one of our routes. Raises AnswerRefused for an error, Problem where it is ours."""
        raw = b"" if body is None else msgspec.json.encode(body)
        fields = [] if body is None else [
            (b"content-type", b"application/json"), (b"content-length", b"%d" % len(raw)),
        ]  # fmt: skip
        first: list[Message] = [{"type": "http.request", "body": raw, "more_body": False}]

        async def receive() -> Message:
            return first.pop() if first else await self.routed.receive()

        return await self._ask(method, path, query or {}, fields, receive)

    async def pass_body_on(self, method: str, path: str) -> InnerAnswer:
        """Ask one of our routes with the body that came, piece by piece as it comes."""
        fields = [field for field in self.routed.scope["headers"] if field[0] in _OF_A_BODY]
        return await self._ask(method, path, {}, fields, self.routed.receive)

    async def pages(
        self, path: str, *, mark: str = "cursor", **query: object
    ) -> AsyncGenerator[list[Document]]:
        """Yield the pages of a list of ours; `mark` is the parameter that continues it."""
        query["limit"] = _PAGE
        while True:
            page = (await self.call("GET", path, query=query)).json()
            yield page["items"]
            if page["next"] is None:
                return
            query[mark] = page["next"]

    async def _ask(
        self,
        method: str,
        path: str,
        query: Mapping[str, object],
        fields: list[tuple[bytes, bytes]],
        receive: Receive,
    ) -> InnerAnswer:
        outer = self.routed.scope
        kept = [field for field in outer["headers"] if field[0] in _PASSED_ON]
        scope = {
            **outer,
            "method": method,
            "path": path,
            "raw_path": path.encode("ascii"),
            "query_string": urlencode(query).encode("ascii"),
            "headers": kept + fields,
            "extensions": {},
        }
        answer = InnerAnswer(0, {}, b"")
        complete = False

        async def send(message: Message) -> None:
            nonlocal complete
            if message["type"] == "http.response.start":
                answer.status = message["status"]
                answer.headers = dict(message.get("headers", ()))
                return
            answer.body += message.get("body", b"")
            complete = not message.get("more_body", False)
            if len(answer.body) > _MOST_ANSWER_BYTES:
                raise BrokenAnswer("An answer has more bytes than expected")

        await self.app(scope, receive, send)
        if not complete:
            raise ClientDisconnect  # while it was asked; or the service left, which is logged there
        if answer.status >= 400:
            raise AnswerRefused(answer)
        return answer


async def span_of(
    pages: AsyncGenerator[list[Document]],
    span: tuple[int, int],
    *,
    wanted: Callable[[Document], bool] = lambda _: True,
) -> list[Document]:
    """Return the items of a list from `skip` on, `limit` at most, of those that are wanted."""
    skip, limit = span
    found: list[Document] = []
    async with aclosing(pages):
        async for page in pages:
            found += [item for item in page if wanted(item)]
            if len(found) >= skip + limit:
                break
    return found[skip : skip + limit]


def _number(query: Mapping[str, str], name: str, default: int, most: int) -> int:
    given = query.get(name, str(default))
    if not (given.isascii() and given.isdigit() and len(given) < 10 and int(given) <= most):
        message = f"Must be a number from 0 to {most}"
        raise Invalid(errors=[{"field": f"query.{name}", "message": message}])
    return int(given)
