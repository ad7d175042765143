"""Gateway processes as auth hears of them, and what their users see of it."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

import httpx

from sharezync_shared.ids import uuid7

if TYPE_CHECKING:  # it imports this module
    from services.auth.tests.api.conftest import Account


@dataclass
class Node:
    """A gateway process, as far as auth hears of it."""

    http: httpx.AsyncClient
    id: str = field(default_factory=lambda: str(uuid7()))

    seq: int = 0
    accepted_seq: int = 0

    async def connect(self, account: "Account", client_id: str = "phone") -> str:
        body = {"user_id": account.id, "client_id": client_id}
        answer = await self.http.post("/internal/devices/connect", json=body)
        assert answer.status_code == 200, answer.text
        device_id = str(answer.json()["id"])
        assert await self.update(connected=[device_id])
        return device_id

    async def disconnect(self, device_id: str) -> None:
        assert await self.update(disconnected=[device_id])

    async def beat(self) -> bool:
        return await self.update()

    async def snapshot(self, device_ids: Iterable[str] = ()) -> bool:
        """Say that these devices and no others are connected."""
        self.accepted_seq = 0
        return await self.update(connected=device_ids)

    async def update(
        self, *, connected: Iterable[str] = (), disconnected: Iterable[str] = ()
    ) -> bool:
        """Send the next update; return whether it was accepted."""
        self.seq += 1
        answer = await self.send(self.next(connected, disconnected))
        assert answer.status_code == 200, answer.text
        accepted: bool = answer.json()["accepted"]
        if accepted:
            self.accepted_seq = self.seq
        else:
            self.seq = max(self.seq, answer.json()["seq"])
        return accepted

    def next(self, connected: Iterable[str], disconnected: Iterable[str]) -> dict[str, Any]:
        changes = {"connected": list(connected), "disconnected": list(disconnected)}
        return {"seq": self.seq, "after": self.accepted_seq, **changes}

    async def send(self, update: dict[str, Any]) -> httpx.Response:
        return await self.http.post(f"/internal/nodes/{self.id}/updates", json=update)


async def devices_of(account: "Account") -> dict[str, dict[str, Any]]:
    items = (await account.http.get("/v1/devices")).json()["items"]
    return {item["id"]: item for item in items}


async def online(account: "Account") -> set[str]:
    return {key for key, device in (await devices_of(account)).items() if device["online"]}


async def last_seen(account: "Account", device_id: str) -> datetime:
    return datetime.fromisoformat((await devices_of(account))[device_id]["last_seen_at"])
