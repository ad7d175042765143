"""People who do a little of everything, for dashboards to have something to show."""

import asyncio
import os
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager, suppress

from tests.blackbox.people import PASSWORD, Person, Socket
from tests.blackbox.test_files import upload
from tests.blackbox.test_transfer import offer, receive_all, send_all

PEOPLE = 4
BETWEEN_SECONDS = 0.2


@asynccontextmanager
async def load(base_url: str) -> AsyncGenerator[list[Person]]:
    """Have people chat, send files, log in and out and err, as long as the block lasts."""
    async with AsyncExitStack() as stack:
        people = [await Person.register(base_url, f"person{n}") for n in range(PEOPLE)]
        for person in people:
            stack.push_async_callback(person.aclose)
        channel = await people[0].channel()
        await people[0].add(channel, *people[1:])
        sockets = [await stack.enter_async_context(p.connected()) for p in people]
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(work)
                for work in (
                    _talk([sockets[0], sockets[3]], channel),
                    _call(people, channel),
                    _send_files(people, sockets),
                    _come_and_go(people[3]),
                )
            ]
            yield people
            for task in tasks:
                task.cancel()


async def _talk(sockets: list[Socket], channel: str) -> None:
    number = 0
    while True:
        for socket in sockets:
            sent = await socket.command("send_message", channel_id=channel, text=f"hello {number}")
            await socket.command("mark_read", channel_id=channel, seq=sent["data"]["seq"])
            number += 1
            socket.frames.clear()  # or each look for an answer takes longer than the one before
        await sockets[0].command("send_message", channel_id="nonsense", text="refused")
        await asyncio.sleep(BETWEEN_SECONDS)


async def _call(people: list[Person], channel: str) -> None:
    while True:
        for person in people:
            await person.get("/v1/users/me")
            await person.get("/v1/memberships")
            await person.get(f"/v1/channels/{channel}/messages?limit=20")
            await person.http.get("/v1/channels/00000000-0000-0000-0000-000000000000")
            await person.say(channel, "by REST")
        await asyncio.sleep(BETWEEN_SECONDS)


async def _send_files(people: list[Person], sockets: list[Socket]) -> None:
    sender, receiver = sockets[1], sockets[2]
    while True:
        content = os.urandom(3 * 1024 * 1024)
        transfer = await offer(sender, people[2], "a.bin", content)
        await receiver.event("incoming_transfer", id=transfer["id"])
        await receiver.command("transfer_accept", transfer_id=transfer["id"])
        await asyncio.gather(
            send_all(sender, transfer, content, transfer["window_bytes"]),
            receive_all(receiver, transfer, len(content)),
        )
        await sender.command("transfer_complete", transfer_id=transfer["id"])
        file = await upload(people[0])
        await people[0].get(f"/v1/files/{file['id']}")
        await people[0].http.get(f"/v1/files/{file['id']}/content")
        await people[0].http.delete(f"/v1/files/{file['id']}")
        await asyncio.sleep(BETWEEN_SECONDS)


async def _come_and_go(person: Person) -> None:
    while True:
        wrong = {"grant_type": "password", "username": person.username, "password": "wrong"}
        await person.http.post("/token", data=wrong)
        await person.http.post("/token", data={**wrong, "password": PASSWORD})
        token = person.tokens["refresh_token"]
        form = {"grant_type": "refresh_token", "refresh_token": token}
        person.use((await person.http.post("/token", data=form)).json())
        with suppress(AssertionError):
            async with person.connected("phone", cursors={}):
                await asyncio.sleep(BETWEEN_SECONDS)
        await asyncio.sleep(1)
