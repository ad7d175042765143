"""The way of commands to chat: one call, signed, and nothing sent twice that may have been done."""

from collections.abc import AsyncGenerator

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sharezync_gateway.realtime.command_calls import CallFailed, CommandCalls
from sharezync_gateway.realtime.http_peers import HttpPeers
from sharezync_gateway.realtime.peers import Command, PeerUnavailable
from sharezync_gateway.realtime.protocol import MarkRead
from sharezync_shared.ids import uuid7
from sharezync_shared.testing.serving import serving
from sharezync_shared.tokens.credentials import CredentialsUnavailable


class Chat:
    """Chat's route for commands."""

    def __init__(self) -> None:
        self.tokens = {"the-first"}
        self.bodies: list[bytes] = []
        self.types: set[str] = set()
        self.ports: set[int] = set()
        self.answers: list[Response] = []
        """Given once each, before anything else."""
        self.app = Starlette(routes=[Route("/internal/commands", self._run, methods=["POST"])])

    async def _run(self, request: Request) -> Response:
        assert request.client is not None
        self.ports.add(request.client.port)
        self.types.add(request.headers["content-type"])
        body = await request.body()
        if request.headers["authorization"].removeprefix("Bearer ") not in self.tokens:
            return JSONResponse({"code": "unauthenticated"}, status_code=401)
        self.bodies.append(body)
        return self.answers.pop(0) if self.answers else Response(b'{"results":[{"data":7}]}')


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


@pytest.fixture
def chat() -> Chat:
    return Chat()


@pytest.fixture
def credentials() -> Credentials:
    return Credentials()


@pytest.fixture
async def calls(chat: Chat, credentials: Credentials) -> AsyncGenerator[CommandCalls]:
    async with serving(chat.app) as served:
        calls = CommandCalls(served.http + "/", credentials, timeout_seconds=5)
        await calls.start()
        yield calls
        await calls.aclose()


def no_client(service: str) -> None:
    raise AssertionError(f"{service} was to be called another way")


async def test_commands_and_their_outcomes_travel_unchanged_on_one_connection(
    chat: Chat, calls: CommandCalls
) -> None:
    for body in (b'{"commands":[1]}', b'{"commands":["\xc3\xa9"]}'):
        assert await calls.call(body) == b'{"results":[{"data":7}]}'
    assert chat.bodies == [b'{"commands":[1]}', b'{"commands":["\xc3\xa9"]}']
    assert chat.types == {"application/json"}
    assert len(chat.ports) == 1


async def test_a_token_that_is_refused_is_renewed_once(
    chat: Chat, calls: CommandCalls, credentials: Credentials
) -> None:
    chat.tokens = {"renewed"}
    await calls.call(b"{}")
    assert credentials.current == "renewed"
    chat.tokens = {"none of ours"}
    credentials.current = "the-first"
    with pytest.raises(CallFailed, match="401"):
        await calls.call(b"{}")
    assert len(chat.bodies) == 1


@pytest.mark.parametrize("status", [307, 422, 429, 500, 503])
async def test_what_is_no_success_is_told_and_never_sent_again(
    chat: Chat, calls: CommandCalls, status: int
) -> None:
    headers = {"location": "/internal/commands"}
    chat.answers = [Response(b"{}", status, headers)]
    with pytest.raises(CallFailed, match=str(status)):
        await calls.call(b"{}")
    assert len(chat.bodies) == 1
    await calls.call(b"{}")


async def test_a_service_that_is_away_is_told(credentials: Credentials) -> None:
    calls = CommandCalls("http://127.0.0.1:1", credentials)
    await calls.start()
    with pytest.raises(CallFailed):
        await calls.call(b"{}")
    credentials.away = True
    with pytest.raises(CallFailed, match="auth is away"):
        await calls.call(b"{}")
    await calls.aclose()


async def test_peers_carry_commands_by_this_way_and_read_the_outcomes(
    chat: Chat, calls: CommandCalls
) -> None:
    peers = HttpPeers(no_client, calls)  # type: ignore[arg-type]  # it gives none
    command = Command("u", None, "mark_read", MarkRead(uuid7()))
    (outcome,) = await peers.commands([command])
    assert bytes(outcome.data) == b"7"
    for answer in (b'{"results":[]}', b"<html>", b"{}"):
        chat.answers = [Response(answer)]
        with pytest.raises(PeerUnavailable, match="chat"):
            await peers.commands([command])
    chat.answers = [Response(status_code=503)]
    with pytest.raises(PeerUnavailable):
        await peers.commands([command])
