"""The services' end of calls: what was asked, and answers by owner and path."""

import json
from typing import Any

import httpx

from sharezync_shared.calls.client import Client, Credentials
from sharezync_shared.calls.transports import HttpxTransport


class AnyToken:
    """Credentials that nobody checks."""

    async def token(self) -> str:
        return "token"

    async def token_instead_of(self, refused: str) -> str:
        return refused


class Wire:
    """Makes clients of all services. What has no answer, by service and path, is `not-found`."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, str, dict[str, str], Any]] = []
        self.timeouts: list[float] = []
        self.answers: dict[str, Any] = {}

    def client(self, kind: type[Client], credentials: Credentials | None = None) -> Client:
        transport = HttpxTransport(f"http://{kind.service}", httpx.MockTransport(self._answer))
        return kind(transport, credentials or AnyToken())

    async def _answer(self, request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content) if request.content else None
        self.timeouts.append(request.extensions["timeout"]["read"])
        self.asked.append(
            (request.url.host, request.method, request.url.path, dict(request.url.params), body)
        )
        answer = self.answers.get(f"{request.url.host}{request.url.path}")
        if callable(answer):
            answer = await answer(request)
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, httpx.Response):
            return answer
        if answer is None:
            return httpx.Response(404, json={"code": "not-found"})
        return httpx.Response(200, json=answer)
