"""Handshakes: which are handed to the engine, and which are refused."""

import json

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from services.gateway.tests.api.proxy.rig import Rig

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.mark.parametrize(
    "path", ["/ws/phone-1", "/ws/channels/01a1ffa4-5d08-7bcf-a402-c19586e1e98a"]
)
async def test_sockets_are_handed_to_the_engine(rig: Rig, path: str) -> None:
    async with connect(f"{rig.served.ws}{path}", proxy=None) as socket:
        await socket.send("hello")
        assert await socket.recv() == "hello"
    assert rig.sockets.scopes[-1]["path"] == path
    assert rig.sockets.scopes[-1]["client"][0] == "127.0.0.1"


@pytest.mark.parametrize(
    ("path", "status"),
    [("/ws", 404), ("/ws/a/b", 404), ("/v1/channels", 404), ("/internal/x", 404),
     ("/ws/%2e%2e", 400), ("/ws/a%2fb", 400)],
)  # fmt: skip
async def test_other_handshakes_are_refused(rig: Rig, path: str, status: int) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with connect(f"{rig.served.ws}{path}", proxy=None):
            pass
    assert refused.value.response.status_code == status
    assert json.loads(refused.value.response.body)["status"] == status
    assert not rig.sockets.scopes


async def test_a_socket_path_is_no_page(rig: Rig) -> None:
    assert (await rig.client.get("/ws/phone-1")).status_code == 404
