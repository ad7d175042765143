"""Every route of a service, and all tokens that it must refuse.

    async def test_no_route_takes_a_bad_token(world, issuer):
        await assert_bad_tokens_are_refused(world.app, issuer, arrange, public=[])

The routes are those of the OpenAPI document, so a new one that takes no token fails. What is asked
for would be done, but for the token: in the end a good one shows that.
"""

import asyncio
import math
import time
from collections.abc import Collection, Iterator, Sequence
from typing import Final

import httpx
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from starlette.types import Message

from sharezync_shared.problems import CONTENT_TYPE
from sharezync_shared.service import ServiceCore
from sharezync_shared.tokens.issuer import TokenIssuer
from sharezync_shared.tokens.signing import SigningKey
from sharezync_testkit.bad_tokens import bad_tokens, good_token
from sharezync_testkit.documented import Arrange, Documented, request_of, token_kind_of
from sharezync_testkit.forger import TokenKind
from sharezync_testkit.waiting import GIVE_UP_SECONDS

OF_EVERY_SERVICE: Final = frozenset({"GET /health", "GET /ready", "GET /openapi.json"})
"""What everybody may ask who can reach the service, and no document tells."""

_TRIES: Final = 3
_FRESH_SECONDS: Final = 30  # after 110 a token from two minutes ahead would be good


async def assert_bad_tokens_are_refused(
    app: FastAPI, issuer: TokenIssuer, arrange: Arrange, *, public: Collection[str] = ()
) -> None:
    """Send every bad token to every route of `app`, which must be running.

    `issuer` mints tokens that it accepts; `arrange` returns what is there to be asked for (see
    `documented.py`). Each refusal must be a 401 with a challenge and a problem document, and change
    nothing in the database. `public` are the operations without a token, beside OF_EVERY_SERVICE,
    those that are missing there or listed without need are told too. Under `/internal/` only
    services are let in, elsewhere only users.

    Raises AssertionError with all that is wrong.
    """
    documented = Documented(app.openapi())
    operations = {operation.label: operation for operation in documented.operations()}
    without_token = {
        name for name, operation in operations.items() if token_kind_of(operation) is None
    }
    without_token |= _routes(app) - operations.keys()
    wrong = [
        f"{name} takes no token, and is not said to be public"
        for name in without_token - OF_EVERY_SERVICE - set(public)
    ]
    wrong += [f"{name} is said to be public, and is not" for name in set(public) - without_token]
    bad = _BadTokens(issuer)
    await _rest(app)
    for name, operation in operations.items():
        if kind := token_kind_of(operation):
            if operation.path.startswith("/internal/") != (kind == "service"):
                wrong.append(f"{name} takes the wrong kind of token: {kind}")
            scene = await arrange(name)
            attempt = _Attempt(app, request_of(documented.right(operation), scene, {}))
            wrong += [f"{name}: {fault}" for fault in await _refusals(app, attempt, bad.at(kind))]
            answer = await attempt.showing(scene.opens(kind)["authorization"])
            if answer.status_code == 401:
                wrong.append(f"{name} does not open to a good token either: {answer.text}")
    await _rest(app)  # or whoever comes next on this database tells what was done
    if wrong:
        raise AssertionError("\n".join(wrong))


async def _refusals(
    app: FastAPI, attempt: "_Attempt", shown: Sequence[tuple[str, str]]
) -> list[str]:
    """Return what is wrong with how a route refuses all that is sent to it."""
    faults: dict[str, list[str]] = {}
    changed: list[str] = []
    for _ in range(_TRIES):
        before = await _state(app)
        faults = {}
        for what, authorization in shown:
            if fault := _fault(await attempt.showing(authorization)):
                faults.setdefault(fault, []).append(what)
        after = await _state(app)
        changed = [table for table in after if after[table] != before[table]]
        if not changed:
            break
        # What the scene was made of may still be on its way; a bad token would do it each time.
        await _rest(app)
    told = [f"{fault}, shown {', '.join(to)}" for fault, to in faults.items()]
    return [*told, f"has changed {', '.join(changed)}"] if changed else told


class _BadTokens:
    """What to show, with its name. Made anew now and then: some of it is about time."""

    def __init__(self, issuer: TokenIssuer) -> None:
        self._issuer = issuer
        self._made: dict[TokenKind, tuple[float, list[tuple[str, str]]]] = {}

    def at(self, kind: TokenKind) -> list[tuple[str, str]]:
        """Return names and `Authorization` headers of this kind; an empty one is not sent."""
        made_at, shown = self._made.get(kind, (-math.inf, []))
        if time.monotonic() - made_at > _FRESH_SECONDS:
            shown = list(self._make(kind))
            self._made[kind] = time.monotonic(), shown
        return shown

    def _make(self, kind: TokenKind) -> Iterator[tuple[str, str]]:
        other_kind: TokenKind = "service" if kind == "user" else "user"
        stranger = TokenIssuer(key=SigningKey.generate())
        yield "nothing", ""
        yield "a word", "Bearer"
        yield "a password", "Basic dTpw"
        yield "another scheme", f"Token {good_token(self._issuer, kind)}"
        yield "a token of the other kind", f"Bearer {good_token(self._issuer, other_kind)}"
        yield "a token of a stranger", f"Bearer {good_token(stranger, kind)}"
        for name, token in bad_tokens(self._issuer, kind):
            yield name, f"Bearer {token}"


class _Attempt:
    """The same request again and again, spoken in raw ASGI: there are thousands."""

    def __init__(self, app: FastAPI, request: httpx.Request) -> None:
        self._app = app
        self._request = request
        self._headers = [(name.lower(), value) for name, value in request.headers.raw]
        self._scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": request.method,
            "scheme": "http",
            "path": request.url.path,
            "raw_path": request.url.raw_path.partition(b"?")[0],
            "query_string": request.url.query,
            "root_path": "",
            "client": ("127.0.0.1", 1),
            "server": ("test", 80),
        }

    async def showing(self, authorization: str) -> httpx.Response:
        """Return the answer to the request with this `Authorization` header, if any."""
        shown = [(b"authorization", authorization.encode())] if authorization else []
        start: Message = {}
        body = b""

        async def receive() -> Message:
            return {"type": "http.request", "body": self._request.content, "more_body": False}

        async def send(message: Message) -> None:
            nonlocal start, body
            start = start or message
            body += message.get("body", b"")

        scope = {**self._scope, "headers": [*self._headers, *shown], "state": {}}
        await self._app(scope, receive, send)
        return httpx.Response(
            start["status"], headers=start["headers"], content=body, request=self._request
        )


def _fault(answer: httpx.Response) -> str | None:
    """Return what is wrong with a refusal."""
    if answer.status_code != 401:
        return f"{answer.status_code}"
    if not answer.headers.get("www-authenticate", "").startswith("Bearer"):
        return f"there is no challenge in {answer.headers}"
    if answer.request.method == "HEAD":
        return None
    if answer.headers["content-type"] != CONTENT_TYPE:
        return f"the refusal is {answer.headers['content-type']}"
    return None if answer.json()["code"] == "unauthenticated" else answer.text


def _routes(app: FastAPI) -> set[str]:
    """Return all routes of the application, those too that no document tells."""
    return {
        f"{method} {context.path}"
        for context in iter_route_contexts(app.routes)
        for method in (context.methods or set()) - {"HEAD"}
    }


async def _rest(app: FastAPI) -> None:
    """Wait until what a service does by itself when it starts is done: sweeps of what is over."""
    async with asyncio.timeout(30):
        before = None
        while before != (before := await _state(app)):  # noqa: ASYNC110 - nothing says when
            await asyncio.sleep(0.2)


async def _state(app: FastAPI) -> dict[str, str]:
    """Return a digest of each table of the service, when nothing is on its way any more."""
    core: ServiceCore = app.state.core
    await core.relay.flush(GIVE_UP_SECONDS)
    schema = core.database.schema
    async with (await core.database.pool()).acquire() as connection:
        tables = await connection.fetch(
            "SELECT tablename FROM pg_tables WHERE schemaname = $1", schema
        )
        return {
            name: await connection.fetchval(
                "SELECT md5(coalesce(string_agg(row::text, ',' ORDER BY row::text), '')) "  # noqa: S608 - names of our own tables
                f'FROM {schema}."{name}" AS row'
            )
            for name in (table["tablename"] for table in tables)
        }
