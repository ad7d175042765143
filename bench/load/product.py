"""The product under load: a fleet on a real RabbitMQ and PostgreSQL, and people in it."""

import asyncio
import os
import tempfile
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from load.meters import Servers
from sharezync_embedded.fleet import Fleet

PASSWORD = "correct horse battery staple"
# A load generator is one address and few users: limits for strangers would be all it measures.
GENEROUS = {
    **{
        f"RATE_LIMIT_{name}": ""
        for name in ("STANDARD", "COSTLY", "BYTES", "PUBLIC", "SIGN_IN", "SOCKETS")
    },
    "WS_MAX_COMMANDS_PER_SECOND": "100000",
    "MAX_CONNECTIONS": "1000000",
    "MAX_CONNECTIONS_PER_ADDRESS": "1000000",
    "ACCESS_TOKEN_EXPIRE_MINUTES": "120",  # as long as it takes to gather thousands
    "LOG_LEVEL": "warning",
    "ACCESS_LOG": "false",
}
_AT_ONCE = 4  # hashing passwords takes the whole machine: more would only wait


@dataclass(frozen=True)
class Running:
    """A fleet that runs. `pids` are those of each service's replicas."""

    url: str
    servers: Servers
    pids: dict[str, list[int]]


@contextmanager
def running_fleet() -> Iterator[Running]:
    """Run a fleet on databases of its own, in the block."""
    with tempfile.TemporaryDirectory(prefix="sharezync-bench-") as folder:
        data_dir = Path(folder)
        fleet = Fleet(data_dir, environment=GENEROUS)
        with fleet:
            pids = {
                name: [each.identity.pid for each in replicas if each.identity is not None]
                for name, replicas in fleet.replicas.items()
            }
            everyone = [pid for each in pids.values() for pid in each]
            yield Running(fleet.url, Servers(data_dir, everyone), pids)


@dataclass(frozen=True)
class Person:
    """Somebody with an account, logged in."""

    id: str
    token: str


async def people(http: httpx.AsyncClient, count: int) -> list[Person]:
    """Register so many people and log them in."""
    gate = asyncio.Semaphore(_AT_ONCE)
    stamp = os.urandom(3).hex()

    async def one(number: int) -> Person:
        username = f"load_{stamp}_{number}"
        async with gate:
            body = {
                "username": username,
                "email": f"{username}@example.com",
                "password": PASSWORD,
            }
            user = await _ok(http.post("/v1/auth/register", json=body))
            form = {"grant_type": "password", "username": username, "password": PASSWORD}
            tokens = await _ok(http.post("/token", data=form))
        return Person(user["id"], tokens["access_token"])

    return list(await asyncio.gather(*(one(number) for number in range(count))))


async def room(http: httpx.AsyncClient, members: list[Person]) -> str:
    """Make a private channel with these people in it; return its id."""
    headers = {"Authorization": f"Bearer {members[0].token}"}
    body = {"name": "load", "kind": "private"}
    channel = await _ok(http.post("/v1/channels", json=body, headers=headers))
    path = f"/v1/channels/{channel['id']}/members"
    for member in members[1:]:
        await _ok(http.post(path, json={"user_id": member.id}, headers=headers))
    return str(channel["id"])


async def _ok(request: Awaitable[httpx.Response]) -> dict[str, Any]:
    answer = await request
    if answer.is_error:
        raise RuntimeError(f"{answer.request.url}: {answer.status_code} {answer.text[:300]}")
    return dict(answer.json())
