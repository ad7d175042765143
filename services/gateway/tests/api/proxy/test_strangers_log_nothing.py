"""Nothing that a stranger sends or leaves undone at the gateway is an error of ours."""

import asyncio
import logging
from typing import Final

import pytest
from starlette.types import Receive, Scope, Send

from services.gateway.tests.api.proxy.rig import FILE_PATH, JSON_PATH, Rig, answer
from sharezync_testkit.waiting import wait_until

pytestmark = pytest.mark.asyncio(loop_scope="module")

HEADS: Final = [
    "GET /v1/channels?%ff=%00 HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /v1/%f0%90 HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /v1/%ed%a0%80 HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /v1/transfers/%00/files/%C2%B2/content HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /v1/channels HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer \xff.\xfe.\xfd\r\n\r\n",
    "GET /v1/channels HTTP/1.1\r\nHost: a\r\nAuthorization: \xff\r\nCookie: \xff=;;\r\n\r\n",
    "GET /docs/assets/%2e%2e HTTP/1.1\r\nHost: a\r\nRange: bytes=\xb2-\r\n\r\n",
    "POST /token HTTP/1.1\r\nHost: a\r\nContent-Length: \xb2\r\n\r\n",
    "POST /token HTTP/1.1\r\nHost: a\r\nContent-Length: " + "9" * 30 + "\r\n\r\n",
    "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
    "FOO /\xff HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /ws/\xff HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
]


@pytest.fixture
def quiet(rig: Rig, caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.WARNING)
    return caplog


def check(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert not [record for record in caplog.records if record.exc_info]
    name, labels = "sharezync_unhandled_exceptions_total", {"service": "gateway"}
    assert not rig.registry.get_sample_value(name, labels)


@pytest.mark.parametrize("head", HEADS)
async def test_a_head_that_is_nonsense(
    rig: Rig, quiet: pytest.LogCaptureFixture, head: str
) -> None:
    wire = await rig.wire()
    await wire.send(head.encode("latin-1"))
    status, _ = await wire.head()
    assert status < 500 or status == 501
    check(rig, quiet)


@pytest.mark.parametrize("path", [JSON_PATH, FILE_PATH])
@pytest.mark.parametrize("framing", ["Content-Length: 100000", "Transfer-Encoding: chunked"])
async def test_a_client_that_leaves_in_the_middle_of_its_body(
    rig: Rig, quiet: pytest.LogCaptureFixture, path: str, framing: str
) -> None:
    wire = await rig.wire()
    await wire.send(rig.request("POST", path, framing) + "1\r\nx\r\n")
    await asyncio.sleep(0.05)
    wire.writer.transport.abort()
    await rig.client.get("/health")
    await asyncio.sleep(0.05)
    check(rig, quiet)


async def test_a_client_that_leaves_in_the_middle_of_its_answer(
    rig: Rig, quiet: pytest.LogCaptureFixture
) -> None:
    over = asyncio.Event()

    async def handler(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await answer(send, b"x" * 50_000_000)
        finally:
            over.set()

    rig.puppet.handler = handler
    wire = await rig.wire()
    await wire.send(rig.request("GET", "/v1/files/0/content"))
    await wire.head()
    wire.writer.transport.abort()
    await wait_until(over.is_set)
    await asyncio.sleep(0.05)
    check(rig, quiet)
