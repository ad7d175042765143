"""A gateway on a real port, a service behind it that does what a test says, and a raw client."""

import asyncio
import hashlib
import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import httpx
from prometheus_client import CollectorRegistry
from starlette.types import ASGIApp, Receive, Scope, Send

from sharezync_gateway.app import create_app
from sharezync_gateway.proxy.asgi import AsgiUpstream
from sharezync_gateway.proxy.http import HttpUpstream
from sharezync_gateway.proxy.upstream import Upstream
from sharezync_gateway.settings import GatewaySettings
from sharezync_shared.asgi.middleware import HttpMetrics
from sharezync_shared.calls.breaker import Breakers
from sharezync_shared.events.local import LocalBus
from sharezync_shared.ids import SessionId, UserId, uuid7
from sharezync_shared.platform import EndpointFor, Platform
from sharezync_shared.settings import SERVICES as ALL
from sharezync_shared.tokens.issuer import TokenIssuer
from sharezync_shared.tokens.keys import StaticKeys
from sharezync_shared.tokens.signing import SigningKey
from sharezync_testkit.serving import Served, serving
from sharezync_testkit.waiting import GIVE_UP_SECONDS, giving_up

Adapter = Literal["http", "asgi"]
Handler = Callable[[Scope, Receive, Send], Awaitable[None]]
SERVICES = tuple(name for name in ALL if name != "gateway")

# Two routes of the real table, of the smallest and of the largest body class.
JSON_PATH = "/v1/channels"
FILE_PATH = "/v1/uploads"


async def answer(
    send: Send,
    body: bytes = b"",
    status: int = 200,
    headers: list[tuple[bytes, bytes]] | None = None,
) -> None:
    fields = [(b"content-length", str(len(body)).encode()), *(headers or [])]
    await send({"type": "http.response.start", "status": status, "headers": fields})
    await send({"type": "http.response.body", "body": body})


async def read_body(receive: Receive) -> bytes | None:
    """Return the whole body; None if the client left before its end."""
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message.get("body", b"")
        if not message.get("more_body", False):
            return bytes(body)


async def until_left(receive: Receive) -> None:
    """Wait until the client has left."""
    while (await receive())["type"] != "http.disconnect":
        pass


@dataclass
class Puppet:
    """A service. It echoes what it saw, unless a test gives it something else to do."""

    handler: Handler | None = None
    seen: list[Scope] = field(default_factory=list)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
            return
        self.seen.append(scope)
        await (self.handler or self.echo)(scope, receive, send)

    async def echo(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = await read_body(receive)
        if body is None:
            return
        told = {
            "method": scope["method"],
            "path": scope["path"],
            "raw_path": scope["raw_path"].decode(),
            "query": scope["query_string"].decode(),
            "headers": [
                [name.decode(), value.decode("latin-1")] for name, value in scope["headers"]
            ],
            "size": len(body),
            "sha256": hashlib.sha256(body).hexdigest(),
        }
        await answer(
            send, json.dumps(told).encode(), headers=[(b"content-type", b"application/json")]
        )

    def header(self, name: str) -> list[str]:
        """Return the values of a field in the last request that arrived."""
        wanted = name.encode()
        return [value.decode("latin-1") for key, value in self.seen[-1]["headers"] if key == wanted]


class StubSockets:
    """A socket engine that echoes, and remembers what it was given."""

    def __init__(self) -> None:
        self.ready = True
        self.delivering = True
        self.scopes: list[Scope] = []
        self.drained: list[float] = []

    async def start(self) -> None: ...

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scopes.append(scope)
        await receive()
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] == "websocket.receive":
            await send({"type": "websocket.send", "text": message["text"]})

    async def drain(self, seconds: float) -> None:
        self.drained.append(seconds)

    async def aclose(self) -> None: ...


@dataclass(frozen=True)
class Answered:
    """One HTTP/1.1 answer, as it came over the wire."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class Wire:
    """A raw connection: what is written is what goes out."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, data: bytes | str) -> None:
        self.writer.write(data.encode() if isinstance(data, str) else data)
        await self.writer.drain()

    async def head(self) -> tuple[int, dict[str, str]]:
        """Read the head of an answer."""
        async with giving_up(lambda: "the head of an answer"):
            raw = await self.reader.readuntil(b"\r\n\r\n")
        status_line, *lines = raw.decode("latin-1").rstrip("\r\n").split("\r\n")
        headers = {}
        for line in lines:
            name, _, value = line.partition(": ")
            assert name not in headers, f"{name} came twice"
            headers[name] = value
        return int(status_line.split(" ")[1]), headers

    async def answer(self, *, method: str = "GET") -> Answered:
        """Read a whole answer."""
        status, headers = await self.head()
        body = b""
        async with giving_up(lambda: f"the body of an answer of {status} {headers}"):
            if method == "HEAD" or status in {100, 204, 304}:
                pass
            elif headers.get("transfer-encoding") == "chunked":
                body = await self._chunks()
            else:
                body = await self.reader.readexactly(int(headers.get("content-length", "0")))
        return Answered(status, headers, body)

    async def _chunks(self) -> bytes:
        body = bytearray()
        while True:
            size = int(await self.reader.readline(), 16)
            body += await self.reader.readexactly(size)
            assert await self.reader.readexactly(2) == b"\r\n"
            if not size:
                return bytes(body)

    async def closed(self) -> bool:
        """Wait until the other side has closed; what it still says is read over."""
        try:
            async with asyncio.timeout(GIVE_UP_SECONDS):
                while await self.reader.read(65536):
                    pass
        except ConnectionError:
            return True
        except TimeoutError:
            return False
        return True


@dataclass
class Rig:
    """All of it."""

    served: Served
    app: ASGIApp
    puppet: Puppet
    sockets: StubSockets
    issuer: TokenIssuer
    registry: CollectorRegistry
    platform: Platform
    client: httpx.AsyncClient
    upstream_served: Served | None = None
    """The services' server, where they are reached over HTTP."""
    wires: list[Wire] = field(default_factory=list)

    def reset(self) -> None:
        """Forget what the last test did."""
        for wire in self.wires:
            wire.writer.close()
        self.wires.clear()
        self.puppet.handler = None
        self.puppet.seen.clear()
        self.sockets.scopes.clear()

    @property
    def port(self) -> int:
        return self.served.port

    def token(self, user_id: UserId | None = None) -> str:
        """Return a token of a user who has just logged in."""
        issued = self.issuer.access_token(
            user_id=user_id or UserId(uuid7()), session_id=SessionId(uuid7())
        )
        return issued.token

    def bearer(self, user_id: UserId | None = None) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token(user_id)}"}

    async def wire(self) -> Wire:
        """Return a new raw connection, closed after the test."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        wire = Wire(reader, writer)
        self.wires.append(wire)
        return wire

    def request(self, method: str, path: str, *lines: str, host: bool = True) -> str:
        """Return the text of a request's head, with a good token; no body."""
        fields = [f"Authorization: Bearer {self.token()}", *lines]
        if host:
            fields.insert(0, "Host: gateway.test")
        return "\r\n".join([f"{method} {path} HTTP/1.1", *fields, "", ""])

    async def ask(self, method: str, path: str, *lines: str, body: bytes = b"") -> Answered:
        """Send one request over a new raw connection and return the answer."""
        wire = await self.wire()
        await wire.send(self.request(method, path, *lines).encode() + body)
        return await wire.answer(method=method)


def services_that_know_nobody(issuer: TokenIssuer) -> EndpointFor:
    """Return the way to the services' internal routes, of which the socket engine needs these."""

    def respond(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/token":
            token = issuer.service_token("gateway").token
            said = {"access_token": token, "token_type": "bearer", "expires_in": 300}
            return httpx.Response(200, json=said)
        if request.url.path == "/internal/revocations":
            return httpx.Response(200, json={"sessions": [], "users": []})
        return httpx.Response(503)

    return lambda service: (f"http://{service}", httpx.MockTransport(respond))


@asynccontextmanager
async def gateway(
    adapter: Adapter = "http",
    *,
    puppet: Puppet | None = None,
    real_sockets: bool = False,
    watched: bool = False,
    server: Mapping[str, Any] | None = None,
    **settings: Any,
) -> AsyncGenerator[Rig]:
    """Run a gateway whose four services are all `puppet`, reached by `adapter`.

    `server` has fields of `ServerSettings`; `watched`: the services are asked whether they live.
    """
    puppet = puppet or Puppet()
    key = SigningKey.generate()
    issuer = TokenIssuer(key=key)
    registry = CollectorRegistry()
    own = GatewaySettings(_env_file=None, **{"access_log": False, **settings})
    sockets = StubSockets()
    async with AsyncExitStack() as stack:
        behind = await stack.enter_async_context(serving(puppet)) if adapter == "http" else None
        asked = dict.fromkeys(SERVICES, behind.http) if behind is not None and watched else None
        platform = Platform(
            "gateway",
            bus=LocalBus(),
            registry=registry,
            http_metrics=HttpMetrics(registry),
            service_secret="secret",
            endpoint_for=services_that_know_nobody(issuer),
            keys=StaticKeys({key.kid: key.public_key()}),
            breakers=Breakers(registry, asked),
        )
        upstreams: dict[str, Upstream] = {
            name: AsgiUpstream(puppet) if behind is None else HttpUpstream(behind.http)
            for name in SERVICES
        }
        engine = None if real_sockets else sockets
        app = create_app(own, platform, upstreams=upstreams, sockets=engine)
        served = await stack.enter_async_context(
            serving(app, draining=platform.draining, **{"stall_seconds": 1, **(server or {})})
        )
        client = await stack.enter_async_context(
            httpx.AsyncClient(base_url=served.http, timeout=10)
        )
        rig = Rig(served, app, puppet, sockets, issuer, registry, platform, client, behind)
        yield rig
        rig.reset()


async def upstreams_to(
    app: ASGIApp, adapter: Adapter, stack: AsyncExitStack
) -> Callable[[], Upstream]:
    """Return what makes ways to `app`; for HTTP it is served on a port of its own first."""
    if adapter == "asgi":
        return lambda: AsgiUpstream(app)
    served = await stack.enter_async_context(serving(app))
    return lambda: HttpUpstream(served.http)
