"""The transfer service that can be ended and begun anew, on the same database."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx
from fastapi import FastAPI

from services.transfer.tests.support.peers import StandIns
from sharezync_shared.ids import DeviceId, SessionId, UserId, uuid7
from sharezync_shared.service import ServiceCore
from sharezync_shared.tokens.issuer import TokenIssuer
from sharezync_testkit.service import platform_for_tests, running
from sharezync_transfer.app import create_app
from sharezync_transfer.settings import TransferSettings


@dataclass
class Stage:
    """Who is on it asks whichever service runs at the moment."""

    settings: TransferSettings
    issuer: TokenIssuer
    peers: StandIns
    app: FastAPI
    _end: asyncio.Event
    _running: asyncio.Task[None]

    @classmethod
    @asynccontextmanager
    async def set(cls, settings: TransferSettings, issuer: TokenIssuer) -> AsyncGenerator["Stage"]:
        peers = StandIns()
        app, end, task = await _begin(settings, issuer, peers)
        stage = cls(settings, issuer, peers, app, end, task)
        try:
            yield stage
        finally:
            await stage._stop()

    @property
    def core(self) -> ServiceCore:
        core: ServiceCore = self.app.state.core
        return core

    async def restart(self) -> None:
        """End the service, whatever it is about to tell, and begin another."""
        await self._stop()
        self.app, self._end, self._running = await _begin(self.settings, self.issuer, self.peers)

    async def ask(self, token: str, method: str, path: str, **options: object) -> httpx.Response:
        """Ask with a token; the answer is whatever comes."""
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(self.app),
            base_url="http://test",
            headers={"Authorization": f"Bearer {token}"},
        ) as client:
            return await client.request(method, path, **options)  # type: ignore[arg-type]  # httpx's own

    def person(self) -> UserId:
        """Make somebody, whom auth knows."""
        user_id = UserId(uuid7())
        names = {"id": str(user_id), "username": "ada", "display_name": "Ada"}
        self.peers.users[str(user_id)] = names
        return user_id

    def token(self, user_id: UserId, device_id: DeviceId) -> str:
        """Return an access token of somebody on a device, which is theirs from now on."""
        self.peers.devices.add((str(user_id), str(device_id)))
        return self.issuer.access_token(
            user_id=user_id, session_id=SessionId(uuid7()), device_id=device_id
        ).token

    async def rows(self, statement: str, *args: object) -> list[dict[str, object]]:
        async with (await self.core.database.pool()).acquire() as connection:
            return [dict(row) for row in await connection.fetch(statement, *args)]

    async def _stop(self) -> None:
        self._end.set()
        await self._running


async def _begin(
    settings: TransferSettings, issuer: TokenIssuer, peers: StandIns
) -> tuple[FastAPI, asyncio.Event, asyncio.Task[None]]:
    app = create_app(settings, platform_for_tests("transfer", issuer, peers=peers.applications))
    begun, end = asyncio.Event(), asyncio.Event()

    async def run() -> None:  # a task of its own: who ends it is another than who began it
        async with running(app):
            begun.set()
            await end.wait()

    task = asyncio.create_task(run(), name="transfer-on-stage")
    waiting = asyncio.create_task(begun.wait())
    await asyncio.wait([task, waiting], return_when=asyncio.FIRST_COMPLETED)
    if task.done():
        waiting.cancel()
        await task
    return app, end, task
