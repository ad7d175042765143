"""Answers to clients that read slowly: a message of an answer takes as long as it needs."""

import asyncio

import pytest
from starlette.types import Message

from sharezync_gateway.errors import ClientGone
from sharezync_gateway.proxy.allowances import RequestAllowance
from sharezync_gateway.proxy.body import RequestBody
from sharezync_gateway.proxy.forward import ResponseWriter
from sharezync_shared.server import SLOWEST_BYTES_PER_SECOND, ZERO_COPY

A_SECOND: dict[str, Message] = {
    "in memory": {"type": "http.response.body", "body": bytes(SLOWEST_BYTES_PER_SECOND)},
    "of a file": {"type": ZERO_COPY, "count": SLOWEST_BYTES_PER_SECOND},
}


def answer_taken_in(seconds: float) -> ResponseWriter:
    async def send(message: Message) -> None:
        await asyncio.sleep(seconds)

    body = object.__new__(RequestBody)  # is not asked
    allowance = object.__new__(RequestAllowance)
    allowance._slot = None  # that of a short request
    return ResponseWriter(send, body, allowance, stall_seconds=0.05)


@pytest.mark.parametrize("message", A_SECOND.values(), ids=list(A_SECOND))
async def test_who_reads_slowly_gets_all(message: Message) -> None:
    await answer_taken_in(0.3)({**message, "more_body": True})


async def test_who_reads_nothing_is_given_up() -> None:
    with pytest.raises(ClientGone):
        await answer_taken_in(30)({"type": "http.response.body", "body": b"x", "more_body": True})
