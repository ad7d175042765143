"""A whole gateway on a port; transfer is a small application, storage is in memory."""

import asyncio
import hashlib
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import httpx
import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from services.gateway.tests.api.known_device import known_device
from services.gateway.tests.unit.transfers.fakes import FakeStore
from sharezync_gateway.app import create_app
from sharezync_gateway.proxy.asgi import AsgiUpstream
from sharezync_gateway.realtime import SOCKETS
from sharezync_gateway.settings import GatewaySettings
from sharezync_shared.contracts.storage import UploadRead
from sharezync_shared.events.local import LocalBus
from sharezync_shared.ids import SessionId, UserId, uuid7
from sharezync_shared.problems import NotFound, problem_response
from sharezync_shared.streams.frames import Control, Frame
from sharezync_shared.tokens.issuer import TokenIssuer
from sharezync_shared.tokens.signing import SigningKey
from sharezync_testkit.service import platform_for_tests
from sharezync_testkit.serving import serving
from sharezync_testkit.waiting import GIVE_UP_SECONDS

CHUNK = 64 * 1024
Json = dict[str, Any]


def content_of(size: int) -> bytes:
    """Bytes of which no two chunks are alike."""
    return b"".join(b"%015d\n" % number for number in range(-(-size // 16)))[:size]


@dataclass
class Offer:
    """A transfer of one file, as transfer has it."""

    size: int
    id: UUID = field(default_factory=uuid7)
    upload_id: UUID = field(default_factory=uuid7)
    state: str = "accepted"
    root: str | None = None
    name: str = "film.mkv"
    mime: str = "video/x-matroska"
    attached: int = 0
    """How often it was asked what somebody is to it."""
    reports: list[Json] = field(default_factory=list)

    @property
    def count(self) -> int:
        return -(-self.size // CHUNK)

    def chunk(self, index: int) -> bytes:
        return content_of(self.size)[index * CHUNK : (index + 1) * CHUNK]

    def put_path(self, index: int, file: int = 0) -> str:
        return f"/v1/transfers/{self.id}/files/{file}/chunks/{index}"

    @property
    def content_path(self) -> str:
        return f"/v1/transfers/{self.id}/files/0/content"


class House:
    """The gateway and those behind it: `sender` and `recipient` are at both ends of every offer."""

    def __init__(self) -> None:
        self.store = FakeStore()
        self.bus = LocalBus()
        self.issuer = TokenIssuer(key=SigningKey.generate())
        self.sender, self.recipient = UserId(uuid7()), UserId(uuid7())
        self.offers: dict[UUID, Offer] = {}
        self.capabilities: dict[str, UserId] = {}
        self.url = ""

    def offer(self, size: int, **how: Any) -> Offer:
        made = Offer(size, **how)
        self.offers[made.id] = made
        return made

    def client(self, user_id: UserId) -> httpx.AsyncClient:
        token = self.issuer.access_token(user_id=user_id, session_id=SessionId(uuid7())).token
        return self.client_with(f"Bearer {token}")

    def client_with(self, authorization: str) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=self.url, headers={"Authorization": authorization})

    def capability(self, user_id: UserId) -> str:
        token = f"szt1.{uuid7().hex}"
        self.capabilities[token] = user_id
        return token

    async def change(self, offer: Offer, state: str) -> None:
        offer.state = state
        control = Control(chunk=["changed"])
        await self.bus.send_frames([Frame(f"transfer:{offer.id}", "", 0, b"", control)])

    async def store_chunk(self, offer: Offer, index: int) -> None:
        """Store a chunk as another node does: nobody here is told."""
        payload = offer.chunk(index)
        digest = hashlib.sha256(payload).digest()
        await self.store.put_chunk(offer.upload_id, index, digest, payload)

    async def put(
        self, http: httpx.AsyncClient, offer: Offer, index: int, **changed: Any
    ) -> httpx.Response:
        body = changed.get("body", offer.chunk(index))
        digest = changed.get("digest", hashlib.sha256(body).hexdigest())
        headers = {"x-chunk-sha256": digest}
        path = changed.get("path", offer.put_path(index))
        return await http.put(path, content=body, headers=headers)

    # --- transfer and storage -----------------------------------------------------------------

    async def attach(self, request: Request) -> Response:
        said = await request.json()
        user_id = said.get("user_id") or str(self.capabilities.get(said["token"], ""))
        offer = self.offers.get(UUID(request.path_params["id"]))
        if not user_id:
            return JSONResponse({"code": "capability-refused"}, 403)
        if offer is None or user_id not in {str(self.sender), str(self.recipient)}:
            return problem_response(NotFound())
        offer.attached += 1
        sends = user_id == str(self.sender)
        stored = sum(
            len(c.payload) for (u, _), c in self.store.chunks.items() if u == offer.upload_id
        )
        file = {"name": offer.name, "mime": offer.mime, "root": offer.root}
        shape = {"upload_id": str(offer.upload_id), "size_bytes": offer.size}
        cut = {"chunk_size_bytes": CHUNK, "chunk_count": offer.count}
        accepted = sends or offer.state != "offered"
        return JSONResponse(
            {
                "user_id": user_id,
                "device_id": None,
                "role": "sender" if sends else "recipient",
                "transfer": {
                    "id": str(offer.id),
                    "state": offer.state,
                    "files": [{"index": 0, "stored_bytes": stored, **file}],
                },
                "window_bytes": 4 * 1024 * 1024,
                "files": [{"index": 0, "accepted": accepted, **shape, **cut}],
                "received": {},
            }
        )

    async def progress(self, request: Request) -> Response:
        offer = self.offers[UUID(request.path_params["id"])]
        offer.reports.append(await request.json())
        return JSONResponse({"state": offer.state})

    async def commands(self, request: Request) -> Response:
        [command] = (await request.json())["commands"]
        return JSONResponse({"results": [{"data": {"id": command["data"]["transfer_id"]}}]})

    async def record(self, request: Request) -> Response:
        upload_id = UUID(request.path_params["id"])
        stored = self.store.held(upload_id).pairs()
        record = UploadRead(upload_id, 0, CHUNK, 0, 0, stored, "receiving", None, None, None)
        return Response(msgspec.json.encode(record))

    def application(self, **settings: Any) -> Any:
        async def heads(_: Request) -> Response:
            return JSONResponse({"streams": {}})

        async def revocations(_: Request) -> Response:
            return JSONResponse({"sessions": [], "users": []})

        async def device(_: Request) -> Response:
            return Response(msgspec.json.encode(known_device()))

        at = "/internal/transfers/{id}"
        every = Route("/internal/streams/heads", heads)
        peers = {
            "auth": [
                every,
                Route("/internal/revocations", revocations),
                Route("/internal/devices/{act}", device, methods=["POST"]),
            ],
            "chat": [every],
            "transfer": [
                every,
                Route(f"{at}/attach", self.attach, methods=["POST"]),
                Route(f"{at}/progress", self.progress, methods=["POST"]),
                Route("/internal/commands", self.commands, methods=["POST"]),
            ],
            "storage": [Route("/internal/uploads/{id}", self.record)],
        }
        applications = {name: Starlette(routes=routes) for name, routes in peers.items()}
        return create_app(
            GatewaySettings(_env_file=None, access_log=False, **settings),
            platform_for_tests("gateway", self.issuer, peers=applications, bus=self.bus),
            upstreams={name: AsgiUpstream(app) for name, app in applications.items()},
            chunks=self.store,
        )

    @asynccontextmanager
    async def open(self, **settings: Any) -> AsyncGenerator["House"]:
        """Serve the gateway inside the block."""
        async with serving(
            self.application(**settings),
            websockets=SOCKETS,
        ) as served:
            self.url = served.http
            yield self


async def until(condition: Any) -> None:
    """Return once `condition()` holds; tells of what takes too long."""
    async with asyncio.timeout(GIVE_UP_SECONDS):
        while not condition():  # noqa: ASYNC110 - conditions of any kind
            await asyncio.sleep(0.005)
