"""Everything that takes hold of devices, all at once: nobody waits in a circle."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta

import httpx

from services.auth.tests.api.conftest import PASSWORD, Account, Auth, register
from services.auth.tests.api.nodes import Node, devices_of, online
from sharezync_auth.usecases.sweeping import give_up_nodes


@dataclass
class Crowd:
    """Everything that takes hold of devices, by chance and in any order."""

    auth: Auth
    gateway: httpx.AsyncClient
    accounts: list[Account]
    nodes: list[Node]
    known: list[tuple[Account, str]] = field(default_factory=list)
    dice: random.Random = field(default_factory=lambda: random.Random(0))

    async def gather(self) -> None:
        for node in self.nodes:
            for account in self.accounts:
                self.known += [(account, await node.connect(account, f"c{n}")) for n in range(4)]

    @property
    def device_ids(self) -> list[str]:
        return sorted({device_id for _, device_id in self.known})

    @property
    def acts(self) -> list[Callable[[], Awaitable[int]]]:
        often = [self.connect] * 6 + [self.update] * 6 + [self.snapshot] * 3
        return [*often, self.log_in, self.give_up, self.remove, self.end_logins]

    async def connect(self) -> int:
        account = self.dice.choice(self.accounts)
        token = account.tokens["access_token"]
        identity = await self.auth.app.state.verifier.verify(token)
        body = {
            "user_id": account.id,
            "session_id": str(identity.session_id),
            "client_id": f"c{self.dice.randrange(6)}",
        }
        return (await self.gateway.post("/internal/devices/connect", json=body)).status_code

    async def update(self) -> int:
        node = self.dice.choice(self.nodes)
        node.seq += 1
        some = [self.dice.sample(self.device_ids, self.dice.randrange(6)) for _ in range(2)]
        return (await node.send(node.next(*some))).status_code

    async def snapshot(self) -> int:
        node = self.dice.choice(self.nodes)
        node.seq += 1
        some = self.dice.sample(self.device_ids, self.dice.randrange(len(self.device_ids)))
        return (await node.send({**node.next(some, []), "after": 0})).status_code

    async def give_up(self) -> int:
        # After so long every heartbeat is too old.
        self.auth.let_pass(timedelta(seconds=self.auth.settings.device_lease_seconds * 3))
        await give_up_nodes(self.auth.app.state.work, self.auth.settings)
        return 204

    async def remove(self) -> int:
        account, device_id = self.dice.choice(self.known)
        return (await account.http.delete(f"/v1/devices/{device_id}")).status_code

    async def log_in(self) -> int:
        account, device_id = self.dice.choice(self.known)
        form = {"grant_type": "password", "username": account.username, "password": PASSWORD}
        return (
            await account.http.post("/token", data={**form, "device_id": device_id})
        ).status_code

    async def end_logins(self) -> int:
        account = self.dice.choice(self.accounts)
        body = {"scope": "others"}
        return (await account.http.post("/v1/auth/logout", json=body)).status_code

    async def erase(self) -> int:
        return (await self.accounts[0].delete()).status_code


async def test_whatever_happens_at_once_nobody_waits_in_a_circle(
    auth: Auth, gateway: httpx.AsyncClient
) -> None:
    """A deadlock would be a 500: PostgreSQL ends one of those who wait for each other."""
    accounts = [await register(auth, f"d{number}") for number in range(4)]
    crowd = Crowd(auth, gateway, accounts, [Node(gateway) for _ in range(3)])
    await crowd.gather()

    async def go_on(worker: int) -> None:
        for step in range(25):
            act = crowd.erase if (worker, step) == (0, 15) else crowd.dice.choice(crowd.acts)
            status = await act()
            assert status in (200, 204, 400, 401, 404), act.__name__

    await asyncio.gather(*(go_on(worker) for worker in range(10)))
    # And what the nodes say after that is what everybody sees.
    first, *others = crowd.nodes
    for node in others:
        await node.snapshot()
    await first.snapshot(crowd.device_ids)
    for account in accounts[1:]:
        assert await online(account) == set(await devices_of(account)) & set(crowd.device_ids)
