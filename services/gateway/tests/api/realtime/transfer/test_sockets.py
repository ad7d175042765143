"""The engine and transfers, put together as the gateway does, over services that speak HTTP."""

import hashlib
import json
from typing import Any
from uuid import uuid4

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from services.gateway.tests.api.known_device import known_device
from services.gateway.tests.api.realtime.transfer.test_chunk_stores import Storage
from services.gateway.tests.unit.transfers.fakes import make_chunk
from sharezync_gateway.realtime import SOCKETS
from sharezync_gateway.realtime.socket_limits import SocketLimits
from sharezync_gateway.transfers.core.chunk_store import AsgiTransport, ChunkStore
from sharezync_gateway.transfers.socket.socket_transfers import EngineWithTransfers
from sharezync_shared.ids import SessionId, UserId, uuid7
from sharezync_shared.tokens.issuer import TokenIssuer
from sharezync_shared.tokens.signing import SigningKey
from sharezync_shared.tokens.verifier import Revocations, TokenVerifier
from sharezync_testkit.service import platform_for_tests
from sharezync_testkit.serving import plain_asgi, serving

CHUNK = 64 * 1024
UPLOAD, TRANSFER = uuid4(), uuid4()


async def _heads(request: Request) -> Response:
    return JSONResponse({"streams": {}})


async def _revocations(request: Request) -> Response:
    return JSONResponse({"sessions": [], "users": []})


async def _device(request: Request) -> Response:
    return Response(msgspec.json.encode(known_device()))


async def _attach(request: Request) -> Response:
    file = {"index": 0, "upload_id": str(UPLOAD), "size_bytes": CHUNK, "chunk_count": 1}
    return JSONResponse(
        {
            "user_id": str(uuid7()),
            "device_id": None,
            "role": "sender",
            "transfer": {"id": str(uuid7()), "state": "offered", "files": []},
            "window_bytes": 4 * 1024 * 1024,
            "files": [{**file, "chunk_size_bytes": CHUNK, "accepted": True}],
            "received": {},
        }
    )


async def test_a_chunk_finds_its_way_through_the_whole() -> None:
    reports: list[dict[str, Any]] = []

    async def progress(request: Request) -> Response:
        reports.append(await request.json())
        return JSONResponse({"state": "offered"})

    heads = Route("/internal/streams/heads", _heads)
    storage = Storage()
    issuer = TokenIssuer(key=SigningKey.generate())
    platform = platform_for_tests(
        "gateway",
        issuer,
        peers={
            "auth": Starlette(
                routes=[
                    heads,
                    Route("/internal/revocations", _revocations),
                    Route("/internal/devices/{act}", _device, methods=["POST"]),
                ]
            ),
            "chat": Starlette(routes=[heads]),
            "transfer": Starlette(
                routes=[
                    heads,
                    Route(f"/internal/transfers/{TRANSFER}/attach", _attach, methods=["POST"]),
                    Route(f"/internal/transfers/{TRANSFER}/progress", progress, methods=["POST"]),
                ]
            ),
        },
    )
    storage.tokens = {await platform.credentials.token()}
    revocations = Revocations()
    sockets = EngineWithTransfers(
        limits=SocketLimits(),
        platform=platform,
        verifier=TokenVerifier(
            platform.keys, issuer="sharezync", audience="sharezync", revocations=revocations
        ),
        revocations=revocations,
        store=ChunkStore(AsgiTransport(storage.app), platform.credentials),
    )
    await sockets.start()
    await platform.start()
    token = issuer.access_token(user_id=UserId(uuid7()), session_id=SessionId(uuid7())).token
    payload = bytes(CHUNK)
    chunk = make_chunk(TRANSFER, 0, 0, payload, hashlib.sha256(payload).digest())
    async with (
        serving(
            plain_asgi(websocket=sockets.handle),
            websockets=SOCKETS,
        ) as served,
        connect(
            f"{served.ws}/ws/laptop",
            additional_headers={"Authorization": f"Bearer {token}"},
            subprotocols=[Subprotocol("sharezync.v1")],
        ) as socket,
    ):
        assert [json.loads(await socket.recv())["type"] for _ in range(2)] == ["hello", "ready"]
        assert sockets.ready
        await socket.send(chunk.frame)
        ack = json.loads(await socket.recv())
        assert (ack["type"], ack["next"]) == ("chunk_ack", 1)
        await sockets.drain(1)
    await sockets.aclose()
    await platform.aclose()
    assert storage.chunks == {(str(UPLOAD), "0"): (payload, chunk.sha256.hex())}
    assert [report["stored"] for report in reports] == [{"0": CHUNK}]
