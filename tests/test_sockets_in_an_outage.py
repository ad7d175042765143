"""What a device hears over its socket while the database is away, and that it heals by itself."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from sharezync_testkit.chaos import ChaosProxy
from sharezync_testkit.servers import Databases
from sharezync_testkit.waiting import DEADLINE_SECONDS
from tests.blackbox.people import Json, Person, Socket
from tests.blackbox.test_transfer import offer
from tests.transfer_stage import House

pytestmark = pytest.mark.timeout(120)

Commands = dict[str, dict[str, Any]]


@asynccontextmanager
async def house_behind(
    databases: Databases, folder: Path
) -> AsyncGenerator[tuple[House, ChaosProxy]]:
    """All services in this process, and the way to their database, which can be cut."""
    url = httpx.URL(databases.new())
    async with ChaosProxy(f"{url.params['host']}/.s.PGSQL.5432") as proxy:
        through = f"postgresql://{url.username}@127.0.0.1:{proxy.port}{url.path}"
        async with House.opened(through, folder) as house:
            try:
                yield house, proxy
            finally:
                proxy.heal()


async def until_done(socket: Socket, kind: str, **members: object) -> Json:
    """Send a command again for as long as it is told to come again, and return its reply."""
    async with asyncio.timeout(DEADLINE_SECONDS):
        while True:
            answer = await socket.command(kind, **members)
            if answer["type"] == "reply":
                return answer
            assert (answer["code"], answer["retryable"]) == ("unavailable", True), answer
            await asyncio.sleep(0.2)


async def offered(sender: Socket, recipient: Person) -> str:
    return str((await offer(sender, recipient, "a.bin", b"abc"))["id"])


async def test_commands_are_told_to_come_again_and_then_are_done(
    databases: Databases, tmp_path: Path
) -> None:
    async with house_behind(databases, tmp_path) as (house, proxy):
        ada, bob = await house.register("ada"), await house.register("bob")
        channel = await ada.channel()
        message = await ada.say(channel, "before")
        async with ada.connected() as adas, bob.connected() as bobs:
            at_bobs: Commands = {"transfer_accept": {"transfer_id": await offered(adas, bob)}}
            at_adas: Commands = {
                "send_message": {"channel_id": channel, "text": "meanwhile"},
                "mark_read": {"channel_id": channel, "seq": message["seq"]},
                "file_transfer_start": {
                    "recipients": [{"user_id": bob.id}],
                    "files": [{"name": "b.bin", "size": 1}],
                },
                "transfer_cancel": {"transfer_id": await offered(adas, bob)},
            }
            proxy.refuse()
            for socket, commands in ((adas, at_adas), (bobs, at_bobs)):
                for kind, members in commands.items():
                    answer = await socket.command(kind, **members)
                    assert answer["type"] == "error", (kind, answer)
                    assert (answer["code"], answer["retryable"]) == ("unavailable", True), answer
            paths = ("/v1/channels", "/v1/transfers", "/v1/users/me", "/v1/files")
            for response in await asyncio.gather(*map(ada.http.get, paths)):
                assert response.status_code == 503, response.text
                assert int(response.headers["retry-after"]) >= 1
            proxy.heal()
            for socket, commands in ((adas, at_adas), (bobs, at_bobs)):
                for kind, members in commands.items():
                    await until_done(socket, kind, **members)
            await adas.event("message.created", text="meanwhile")
