"""One service alone, as its api tests see it: its application running, its surroundings in memory.

    key = SigningKey.generate()
    issuer = TokenIssuer(key=key)
    platform = platform_for_tests("chat", issuer, peers={"storage": stand_in})
    async with running(create_app(settings, platform)) as app:
        async with client_for(app, user_id, issuer) as alice: ...

Peers are other services of ours: an api test stands small applications in for them, and the
black-box suite meets the real ones.
"""

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager

import httpx
import msgspec
from fastapi import FastAPI
from prometheus_client import CollectorRegistry
from starlette.types import ASGIApp, Receive, Scope, Send

from sharezync_shared.asgi.middleware import HttpMetrics
from sharezync_shared.events.bus import Bus
from sharezync_shared.events.local import LocalBus
from sharezync_shared.ids import SessionId, UserId, uuid7
from sharezync_shared.platform import Platform
from sharezync_shared.tokens.issuer import TokenIssuer
from sharezync_shared.tokens.keys import StaticKeys


@asynccontextmanager
async def running(app: FastAPI) -> AsyncGenerator[FastAPI]:
    """Run the application's lifespan around the block, as a server would."""
    async with app.router.lifespan_context(app):
        yield app


def platform_for_tests(
    name: str,
    issuer: TokenIssuer,
    *,
    peers: Mapping[str, ASGIApp] | None = None,
    bus: Bus | None = None,
) -> Platform:
    """Return the surroundings of the service `name`: `LocalBus`, the issuer's key, ASGI peers.

    A service without a peer in `peers` can't be reached. `POST /token` at auth gives it a
    service token signed by `issuer`; auth's other routes are those of `peers["auth"]`.
    """
    registry = CollectorRegistry()
    applications = {
        "auth": _token_endpoint(issuer, name, (peers or {}).get("auth")),
        **_without_auth(peers),
    }

    def endpoint_for(service: str) -> tuple[str, httpx.AsyncBaseTransport]:
        app = applications.get(service)
        if app is None:
            return f"http://{service}", httpx.MockTransport(_unreachable)
        return f"http://{service}", httpx.ASGITransport(app)

    return Platform(
        name,
        bus=bus or LocalBus(),
        registry=registry,
        http_metrics=HttpMetrics(registry),
        service_secret=f"the secret of {name}",
        endpoint_for=endpoint_for,
        keys=StaticKeys({issuer.key.kid: issuer.key.public_key()}),
    )


def client_for(app: ASGIApp, user_id: UserId, issuer: TokenIssuer) -> httpx.AsyncClient:
    """Return a client of `app` that is logged in as this user, in a session of its own."""
    token = issuer.access_token(user_id=user_id, session_id=SessionId(uuid7())).token
    return _client(app, token)


def client_of_service(
    app: ASGIApp, issuer: TokenIssuer, service: str = "gateway"
) -> httpx.AsyncClient:
    """Return a client of `app` that another service of ours would hold."""
    return _client(app, issuer.service_token(service).token)


def _client(app: ASGIApp, token: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(app),
        base_url="http://test",
        headers={"Authorization": f"Bearer {token}"},
    )


def _without_auth(peers: Mapping[str, ASGIApp] | None) -> dict[str, ASGIApp]:
    return {name: app for name, app in (peers or {}).items() if name != "auth"}


def _token_endpoint(issuer: TokenIssuer, service: str, rest: ASGIApp | None) -> ASGIApp:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/token":
            issued = issuer.service_token(service)
            answer = {"access_token": issued.token, "expires_in": issued.expires_in_seconds}
            await _answer(send, 200, msgspec.json.encode(answer))
        elif rest is not None:
            await rest(scope, receive, send)
        else:
            await _answer(send, 404, b"{}")

    return app


async def _answer(send: Send, status: int, body: bytes) -> None:
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _unreachable(request: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("there is no such peer in this test", request=request)
