"""What clients of each service hear while its database is away: to come again, on every door."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from fastapi import FastAPI

import sharezync_auth.app
import sharezync_auth.migrations
import sharezync_auth.settings
import sharezync_chat.app
import sharezync_chat.migrations
import sharezync_chat.settings
import sharezync_storage.app
import sharezync_storage.migrations
import sharezync_storage.settings
import sharezync_transfer.app
import sharezync_transfer.migrations
import sharezync_transfer.settings
from sharezync_shared import outage_log
from sharezync_shared.db.migrations import Migrations
from sharezync_shared.ids import UserId, uuid7
from sharezync_shared.platform import Platform
from sharezync_shared.settings import Settings
from sharezync_shared.tokens.credentials import derive_service_secret
from sharezync_shared.tokens.issuer import TokenIssuer
from sharezync_shared.tokens.signing import SigningKey
from sharezync_testkit.chaos import ChaosProxy
from sharezync_testkit.lines import Lines
from sharezync_testkit.plain_requests import plain_requests
from sharezync_testkit.servers import Databases
from sharezync_testkit.service import (
    client_for,
    client_of_service,
    platform_for_tests,
    running,
)
from sharezync_testkit.waiting import wait_until

pytestmark = pytest.mark.timeout(120)


@dataclass(frozen=True)
class Kind:
    """How a service is made, and how many of its operations must ask the database at least."""

    create_app: Callable[[Any, Platform], FastAPI]
    settings: type[Settings]
    migrations: Migrations
    asking: int


KINDS: Final = {
    "auth": Kind(
        sharezync_auth.app.create_app,
        sharezync_auth.settings.AuthSettings,
        sharezync_auth.migrations.MIGRATIONS,
        15,
    ),
    "chat": Kind(
        sharezync_chat.app.create_app,
        sharezync_chat.settings.ChatSettings,
        sharezync_chat.migrations.MIGRATIONS,
        25,
    ),
    "transfer": Kind(
        sharezync_transfer.app.create_app,
        sharezync_transfer.settings.TransferSettings,
        sharezync_transfer.migrations.MIGRATIONS,
        12,
    ),
    "storage": Kind(
        sharezync_storage.app.create_app,
        sharezync_storage.settings.StorageSettings,
        sharezync_storage.migrations.MIGRATIONS,
        15,
    ),
}
SECRET: Final = "Tq8mLx3VnC6wRz9KpBy5Hd2JgFs7Ue4a"
COMMANDS: Final[dict[str, dict[str, dict[str, Any]]]] = {
    "chat": {
        "send_message": {"channel_id": str(uuid7()), "text": "hello"},
        "mark_read": {"channel_id": str(uuid7()), "seq": 1},
    },
    "transfer": {
        "transfer_accept": {"transfer_id": str(uuid7())},
        "transfer_resume": {"transfer_id": str(uuid7())},
        "transfer_pause": {"transfer_id": str(uuid7())},
        "transfer_cancel": {"transfer_id": str(uuid7())},
        "transfer_complete": {"transfer_id": str(uuid7())},
    },
}


@dataclass(frozen=True)
class Scene:
    """A service whose database stands behind a proxy."""

    name: str
    app: FastAPI
    proxy: ChaosProxy
    user: httpx.AsyncClient
    gateway: httpx.AsyncClient

    @property
    def unhandled(self) -> float:
        """How many exceptions were logged with a traceback, and answered with 500."""
        registry = self.app.state.core.platform.registry
        name = "sharezync_unhandled_exceptions_total"
        return registry.get_sample_value(name, {"service": self.name}) or 0.0

    def client(self, operation: str) -> httpx.AsyncClient:
        return self.gateway if " /internal/" in operation else self.user


@asynccontextmanager
async def scene(name: str, databases: Databases, folder: Path) -> AsyncGenerator[Scene]:
    kind = KINDS[name]
    parsed = httpx.URL(await asyncio.to_thread(databases.migrated, kind.migrations))
    issuer = TokenIssuer(key=SigningKey.generate())
    async with AsyncExitStack() as stack:
        socket = f"{parsed.params['host']}/.s.PGSQL.5432"
        proxy = await stack.enter_async_context(ChaosProxy(socket))
        settings = kind.settings(
            _env_file=None,
            database_url=f"postgresql://{parsed.username}@127.0.0.1:{proxy.port}{parsed.path}",
            secret_key=SECRET,
            data_dir=folder,
        )
        app = kind.create_app(settings, platform_for_tests(name, issuer))
        await stack.enter_async_context(running(app))
        user = await stack.enter_async_context(client_for(app, UserId(uuid7()), issuer))
        gateway = await stack.enter_async_context(client_of_service(app, issuer))
        if name == "auth":  # it believes in its own tokens only
            await log_in(user, gateway)
        try:
            yield Scene(name, app, proxy, user, gateway)
        finally:
            proxy.heal()


async def log_in(user: httpx.AsyncClient, gateway: httpx.AsyncClient) -> None:
    """Give both clients tokens that auth has made."""
    password = "correct horse battery staple"
    account = {"username": "ada", "email": "ada@example.org", "password": password}
    await user.post("/v1/auth/register", json=account)
    secret = derive_service_secret(SECRET, "gateway")
    grants = {
        user: {"grant_type": "password", "username": "ada", "password": password},
        gateway: {
            "grant_type": "client_credentials",
            "client_id": "gateway",
            "client_secret": secret,
        },
    }
    for client, grant in grants.items():
        answer = await client.post("/token", data=grant)
        client.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"


def go_away(proxy: ChaosProxy) -> None:
    """End every connection and take no new one, as a server that is stopped."""
    proxy.refuse()
    proxy.reset()


async def ask_everything(scene: Scene) -> dict[str, httpx.Response]:
    answers = {}
    for request in plain_requests(scene.app):
        answers[request.name] = await scene.client(request.name).request(
            request.method,
            request.path,
            params=request.params,
            headers=request.headers,
            content=request.content,
        )
    return answers


@pytest.mark.parametrize("name", KINDS)
async def test_every_operation_says_when_to_come_again(
    name: str, databases: Databases, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with scene(name, databases, tmp_path) as there:
        before = await ask_everything(there)
        assert not [op for op, answer in before.items() if answer.status_code == 500], before
        lines = Lines.capture(outage_log, monkeypatch)
        go_away(there.proxy)
        answers = await ask_everything(there)
        unavailable = {op for op, answer in answers.items() if answer.status_code == 503}
        others = {op: answers[op].status_code for op in answers.keys() - unavailable}
        assert not [op for op, status in others.items() if status >= 500], others
        assert len(unavailable) >= KINDS[name].asking, others
        for op in unavailable:
            assert answers[op].headers.get("retry-after"), op
        assert lines.count("database_unavailable") == 1
        assert there.unhandled == 0
        there.proxy.heal()
        after = await ask_everything(there)
        assert {op: a.status_code == 503 for op, a in after.items()} == {
            op: a.status_code == 503 for op, a in before.items()
        }


async def test_what_goes_on_in_the_background_tells_of_it_once(
    databases: Databases, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sharezync_storage.usecases.sweeping._POLL_SECONDS", 0.01)
    async with scene("storage", databases, tmp_path) as there:
        lines = Lines.capture(outage_log, monkeypatch)
        go_away(there.proxy)

        def failed() -> list[str]:
            return [
                line["task"] for line in lines.written if line["event"] == "background_work_failed"
            ]

        await wait_until(lambda: {"storage-uploads", "storage-deletions"} <= {*failed()})
        await asyncio.sleep(0.1)  # several rounds
        assert len(failed()) == len({*failed()})


@pytest.mark.parametrize("name", COMMANDS)
async def test_commands_of_sockets_may_be_sent_again(
    name: str, databases: Databases, tmp_path: Path
) -> None:
    async with scene(name, databases, tmp_path) as there:
        go_away(there.proxy)
        commands = [
            {"user_id": str(uuid7()), "kind": kind, "data": data}
            for kind, data in COMMANDS[name].items()
        ]
        answer = await there.gateway.post("/internal/commands", json={"commands": commands})
        assert answer.status_code == 200
        for command, result in zip(commands, answer.json()["results"], strict=True):
            problem = result["problem"]
            assert (problem["code"], problem["status"]) == ("unavailable", 503), command["kind"]
            assert problem["retry_after_seconds"] >= 1, command["kind"]


async def test_a_database_that_hangs_is_not_waited_for_longer_than_a_gateway_waits(
    databases: Databases, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sharezync_shared.db.database._ANSWER_SECONDS", 0.5)
    monkeypatch.setattr("sharezync_shared.db.database._CONNECT_SECONDS", 0.5)
    async with scene("chat", databases, tmp_path) as there:
        there.proxy.black_hole()
        command = {"user_id": str(uuid7()), "kind": "send_message"}
        command["data"] = {"channel_id": str(uuid7()), "text": "hello"}  # type: ignore[assignment]  # JSON
        read, sent = await asyncio.gather(
            there.user.get("/v1/channels"),
            there.gateway.post("/internal/commands", json={"commands": [command]}),
        )
        assert read.status_code == 503
        assert sent.json()["results"][0]["problem"]["code"] == "unavailable"
