"""Calls to a service, as it is declared, over both ways that lead there."""

import gc
from collections.abc import AsyncGenerator
from contextlib import suppress
from dataclasses import dataclass
from types import NoneType
from typing import Any
from uuid import UUID, uuid4
from weakref import ref

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from structlog.testing import capture_logs

from sharezync_shared.calls.breaker import Breaker, State
from sharezync_shared.calls.client import ServiceClient, ServiceUnavailable
from sharezync_shared.calls.operations import Operation
from sharezync_shared.calls.transports import GuardedTransport, HttpxTransport, PlainTransport
from sharezync_shared.problems import Conflict, Invalid, NotFound, Unavailable, problem_response
from sharezync_shared.tokens.credentials import CredentialsUnavailable
from sharezync_testkit.serving import serving


class Busy(Unavailable):
    slug, title = "busy", "Ask again"


@dataclass(frozen=True)
class Ask:
    text: str
    number: int | None = None


@dataclass(frozen=True)
class Said:
    text: str


POST = Operation("POST", "/things/{thing_id}", Ask, Said, refusals=(NotFound, Busy, Conflict))
GET = Operation("GET", "/things", Ask, Said)
DELETE = Operation("DELETE", "/things/{thing_id}", NoneType, NoneType)
THING = uuid4()


class ThingsClient(ServiceClient):
    service = "things"


class Credentials:
    def __init__(self) -> None:
        self.current = "the-first"
        self.away = False

    async def token(self) -> str:
        if self.away:
            raise CredentialsUnavailable("auth is away")
        return self.current

    async def token_instead_of(self, refused: str) -> str:
        assert refused == self.current
        self.current = "renewed"
        return self.current


class Things:
    """The service: says what it is told to, once each, and notes what it was asked."""

    def __init__(self) -> None:
        self.tokens = {"the-first"}
        self.asked: list[tuple[str, str, bytes, str | None]] = []
        self.answers: list[Response] = []
        self.app = Starlette(
            routes=[
                Route(path, self._answer, methods=["GET", "POST", "DELETE"])
                for path in ("/things", "/things/{thing_id}")
            ]
        )

    async def _answer(self, request: Request) -> Response:
        if request.headers["authorization"].removeprefix("Bearer ") not in self.tokens:
            return JSONResponse({"code": "unauthenticated"}, status_code=401)
        target = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        kind = request.headers.get("content-type")
        self.asked.append((request.method, target, await request.body(), kind))
        return self.answers.pop(0) if self.answers else Response(b'{"text":"yes","new":1}')


@pytest.fixture
def things() -> Things:
    return Things()


@pytest.fixture
def credentials() -> Credentials:
    return Credentials()


@pytest.fixture(params=["httpx", "plain"])
async def client(
    request: pytest.FixtureRequest, things: Things, credentials: Credentials
) -> AsyncGenerator[ThingsClient]:
    if request.param == "httpx":
        inner = httpx.ASGITransport(things.app)
        yield ThingsClient(HttpxTransport("http://things", inner), credentials)
        return
    async with serving(things.app) as served:
        transport = PlainTransport(served.http + "/", Breaker("things"))
        await transport.start()
        yield ThingsClient(transport, credentials)
        await transport.aclose()


async def test_a_call_is_what_was_declared(things: Things, client: ThingsClient) -> None:
    assert await client.call(POST, Ask("é"), thing_id=THING) == Said("yes")
    assert await client.call(GET, Ask("a b&c")) == Said("yes")
    assert await client.call(GET, Ask("x", 7)) == Said("yes")
    things.answers = [Response(status_code=204)]
    assert await client.call(DELETE, None, thing_id=THING) is None  # type: ignore[func-returns-value]  # that is the point
    body = '{"text":"é","number":null}'.encode()
    assert things.asked == [
        ("POST", f"/things/{THING}", body, "application/json"),
        ("GET", "/things?text=a+b%26c", b"", None),
        ("GET", "/things?text=x&number=7", b"", None),
        ("DELETE", f"/things/{THING}", b"", None),
    ]


async def test_a_token_that_is_refused_is_renewed_once(
    things: Things, client: ThingsClient, credentials: Credentials
) -> None:
    things.tokens = {"renewed"}
    await client.call(GET, Ask("x"))
    assert credentials.current == "renewed"
    things.tokens = {"none of ours"}
    credentials.current = "the-first"
    with pytest.raises(ServiceUnavailable, match="401"):
        await client.call(GET, Ask("x"))
    assert len(things.asked) == 1


async def test_a_refusal_that_was_handled_holds_nothing_of_its_caller(
    things: Things, client: ThingsClient
) -> None:
    """Else what a client sent lies about until the next full garbage collection."""
    things.answers = [problem_response(NotFound("No such thing"))]

    class Sent:
        pass

    async def handle() -> "ref[Sent]":
        sent = Sent()
        with suppress(NotFound):
            await client.call(POST, Ask("x"), thing_id=THING)
        return ref(sent)

    gc.disable()
    try:
        assert (await handle())() is None
    finally:
        gc.enable()


async def test_a_declared_refusal_passes_through_whole(
    things: Things, client: ThingsClient
) -> None:
    things.answers = [
        problem_response(NotFound("No such thing")),
        problem_response(Busy("Soon", retry_after_seconds=3)),
        problem_response(Conflict("Taken", taken=[[1, 2]])),
    ]
    with pytest.raises(NotFound) as gone:
        await client.call(POST, Ask("x"), thing_id=THING)
    assert gone.value.detail == "No such thing"
    with pytest.raises(Busy) as busy:
        await client.call(POST, Ask("x"), thing_id=THING)
    assert busy.value.retry_after_seconds == 3
    with pytest.raises(Conflict) as taken:
        await client.call(POST, Ask("x"), thing_id=THING)
    assert (taken.value.detail, taken.value.extras) == ("Taken", {"taken": [[1, 2]]})


@pytest.mark.parametrize(
    "answer",
    [
        problem_response(Invalid("not declared")),
        Response(b"<html>", 502),
        Response(status_code=404),
        Response(b"[]", 409),
        Response(b"", 307, {"location": "/things"}),
        Response(b"<html>"),
        Response(b'{"text":7}'),
        Response(b"{}"),
    ],
    ids=["undeclared", "no json", "empty", "a list", "redirect", "html", "wrong", "missing"],
)
async def test_everything_else_is_unavailable_and_never_sent_again(
    things: Things, client: ThingsClient, answer: Response
) -> None:
    things.answers = [answer]
    with pytest.raises(ServiceUnavailable, match="things: POST /things/") as unavailable:
        await client.call(POST, Ask("x"), thing_id=THING)
    assert unavailable.value.service == "things"
    assert "things" not in unavailable.value.detail, "clients need not know who"
    assert len(things.asked) == 1


async def test_without_a_token_nothing_is_sent(
    things: Things, client: ThingsClient, credentials: Credentials
) -> None:
    credentials.away = True
    with pytest.raises(ServiceUnavailable, match="auth is away"):
        await client.call(GET, Ask("x"))
    assert things.asked == []


async def test_a_service_that_is_away_is_unavailable(credentials: Credentials) -> None:
    transport = PlainTransport("http://127.0.0.1:1", Breaker("things"))
    await transport.start()
    with pytest.raises(ServiceUnavailable):
        await ThingsClient(transport, credentials).call(GET, Ask("x"))
    await transport.aclose()


async def test_an_answer_of_no_use_is_logged_once_for_many(
    things: Things, client: ThingsClient
) -> None:
    things.answers = [Response(status_code=500), Response(b"<html>")]
    with capture_logs() as lines:
        for _ in range(2):
            with pytest.raises(ServiceUnavailable):
                await client.call(GET, Ask("x"))
    assert [(each["event"], each["upstream"]) for each in lines] == [("calls_failed", "things")]


async def test_that_there_is_no_answer_is_for_the_breaker_of_the_service_to_log(
    credentials: Credentials,
) -> None:
    breaker = Breaker("things")
    transport = PlainTransport("http://127.0.0.1:1", breaker)
    await transport.start()
    with capture_logs() as lines:
        while breaker.state is State.CLOSED:
            with pytest.raises(ServiceUnavailable):
                await ThingsClient(transport, credentials).call(GET, Ask("x"))
        with pytest.raises(ServiceUnavailable, match="CircuitOpen"):
            await ThingsClient(transport, credentials).call(GET, Ask("x"))
    await transport.aclose()
    assert [each["event"] for each in lines] == ["service_not_answering"]


@pytest.mark.parametrize(
    ("error", "repeatable", "attempts"),
    [
        (httpx.ConnectError, False, 2),
        (httpx.ReadError, False, 1),
        (httpx.ReadError, True, 2),
        (httpx.RemoteProtocolError, True, 2),
        (httpx.ReadTimeout, True, 1),
    ],
)
async def test_what_may_have_been_done_is_repeated_only_where_that_is_declared(
    credentials: Credentials, error: type[Exception], repeatable: bool, attempts: int
) -> None:
    made: list[httpx.Request] = []

    def respond(request: httpx.Request) -> httpx.Response:
        made.append(request)
        if len(made) == 1:
            raise error("lost")
        return httpx.Response(200, json={"text": "yes"})

    guarded = GuardedTransport(httpx.MockTransport(respond), Breaker("things"))
    client = ThingsClient(HttpxTransport("http://things", guarded), credentials)
    operation: Operation[Ask, Said] = Operation("POST", "/x", Ask, Said, repeatable=repeatable)
    outcome: Any = None
    with suppress(ServiceUnavailable):
        outcome = await client.call(operation, Ask("x"))
    assert len(made) == attempts
    assert (outcome is not None) == (attempts == 2)


def test_a_parameter_that_is_missing_is_noticed() -> None:
    parameters: dict[str, UUID | int] = {"other_id": 1}
    with pytest.raises(KeyError):
        POST.target(Ask("x"), parameters)
