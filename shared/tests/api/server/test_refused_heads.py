"""What refuses a HEAD request ends with its head (RFC 9110 §9.3.2)."""

import pytest

from shared.tests.api.server.wire import echoing

REFUSED = {
    "no Host": (b"HEAD /a HTTP/1.1\r\n\r\n", 400),
    "no path": (b"\r\nHEAD a HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    "a bad field": (b"HEAD /a HTTP/1.1\r\nHost: x\r\nA\r\n\r\n", 400),
    "a bad body": (b"HEAD /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", 400),
    "too long, and not whole": (b"HEAD /a HTTP/1.1\r\nHost: x\r\nA: " + b"b" * 70_000, 431),
}


@pytest.mark.parametrize(("sent", "status"), REFUSED.values(), ids=REFUSED.keys())
async def test_a_refused_head_request_is_answered_without_a_body(sent: bytes, status: int) -> None:
    async with echoing() as (wire, _, _):
        await wire.send(sent)
        assert await wire.answer("HEAD") == (status, b"")
        assert await wire.is_closed(), "nothing follows the head"


async def test_a_request_behind_it_is_refused_by_its_own_method() -> None:
    async with echoing() as (wire, _, _):
        await wire.send(b"HEAD /a HTTP/1.1\r\nHost: x\r\n\r\nHEAP /a\r\n\r\n")
        assert await wire.answer("HEAD") == (200, b"")
        status, body = await wire.answer()
        assert (status, b"malformed" in body) == (400, True)
