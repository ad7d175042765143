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

    async def connect(self, account: "Account", client_id: str = "phone") -> str:
        body = {"node_id": self.id, "user_id": account.id, "client_id": client_id}
        answer = await self.http.post("/internal/devices/connect", json=body)
        assert answer.status_code == 200, answer.text
        assert answer.json()["online"] is True
        return str(answer.json()["id"])

    async def disconnect(self, account: "Account", device_id: str) -> None:
        body = {"node_id": self.id, "user_id": account.id, "device_id": device_id}
        answer = await self.http.post("/internal/devices/disconnect", json=body)
        assert answer.status_code == 204, answer.text

    async def beat(self) -> int:
        answer = await self.http.post(f"/internal/nodes/{self.id}/heartbeat")
        assert answer.status_code == 200, answer.text
        return int(answer.json()["devices"])

    async def says(self, device_ids: Iterable[str], **bounds: str | None) -> int:
        body = {"device_ids": list(device_ids), **bounds}
        answer = await self.http.put(f"/internal/nodes/{self.id}/devices", json=body)
        assert answer.status_code == 200, answer.text
        return int(answer.json()["devices"])

    async def leave(self) -> None:
        answer = await self.http.delete(f"/internal/nodes/{self.id}")
        assert answer.status_code == 204, answer.text


async def devices_of(account: "Account") -> dict[str, dict[str, Any]]:
    items = (await account.http.get("/v1/devices")).json()["items"]
    return {item["id"]: item for item in items}


async def online(account: "Account") -> set[str]:
    return {key for key, device in (await devices_of(account)).items() if device["online"]}


async def last_seen(account: "Account", device_id: str) -> datetime:
    return datetime.fromisoformat((await devices_of(account))[device_id]["last_seen_at"])
