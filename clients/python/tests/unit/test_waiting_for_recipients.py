"""Staying until others have what was sent."""

import asyncio
from typing import Any, cast

import pytest

from sharezync.documents import Transfer
from sharezync.transfer.progress import Progress
from sharezync.transfer.transfer_http import TransferApi
from sharezync.transfer.transfers import wait_for_recipients


def transfer(state: str, received_bytes: int = 0) -> Transfer:
    """A transfer of 100 bytes to one person."""
    recipient = {
        "user_id": "bob",
        "device_id": None,
        "state": state,
        "accepted_bytes": 100,
        "received_bytes": received_bytes,
    }
    return Transfer.of(
        {
            "id": "t",
            "sender_id": "ada",
            "sender_device_id": None,
            "recipients": [recipient],
            "files": [],
            "size_bytes": 100,
            "chunk_size_bytes": 100,
            "state": state,
            "note": "",
            "created_at": "2026-11-21T17:00:00Z",
            "expires_at": "2026-11-22T17:00:00Z",
            "completed_at": None,
        }
    )


class Server:
    """A server that says one thing after the other."""

    def __init__(self, *said: Transfer) -> None:
        self.said = list(said)

    async def get(self, _: str) -> Transfer:
        return self.said.pop(0)


async def test_while_nothing_happens_it_is_asked_ever_less_often(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pauses: list[float] = []

    async def pass_by(seconds: float) -> None:
        pauses.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", pass_by)
    waiting = [transfer("offered")] * 9
    server = Server(*waiting, transfer("receiving", 50), transfer("completed", 100))
    told: list[Any] = []
    progress = Progress(transfer("offered"), 100)
    progress.learn(progress.transfer)
    api = cast("TransferApi", server)
    await wait_for_recipients(
        api, progress, "all", lambda each: told.append(each.recipients["bob"])
    )
    assert not server.said
    assert told == [("receiving", 50), ("completed", 100)], "what is no news is not told"
    assert max(pauses[:1] + pauses[-1:]) <= 0.4, "at first, and again once something happens"
    assert 3.2 <= min(pauses[5:10]) <= max(pauses) <= 6.4
