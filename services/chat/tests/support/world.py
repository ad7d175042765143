"""People, and what they can do in a test."""

import itertools
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import httpx
import msgspec
from fastapi import FastAPI

from services.chat.tests.support.peers import StandIns
from sharezync_chat.usecases.events import EVENTS
from sharezync_shared.events.bus import Envelope
from sharezync_shared.events.contracts import Event
from sharezync_shared.ids import UserId, uuid7
from sharezync_shared.platform import Platform
from sharezync_shared.service import ServiceCore
from sharezync_shared.streams.declared import Realtime
from sharezync_shared.streams.frames import Frame
from sharezync_shared.tokens.issuer import TokenIssuer
from sharezync_testkit.frames import DeclaredEvents
from sharezync_testkit.sent_frames import keep_in
from sharezync_testkit.service import client_for, client_of_service

Json = dict[str, Any]

DECLARED = DeclaredEvents(Realtime(EVENTS).document())
"""What every event of these tests is held against."""

_numbers = itertools.count(1)


@dataclass
class Person:
    """Somebody with a token. Each call returns the answer's JSON and insists on its status."""

    id: str
    username: str
    http: httpx.AsyncClient

    @property
    def read(self) -> Json:
        return {"id": self.id, "username": self.username, "display_name": self.username.title()}

    async def get(self, path: str, status: int = 200, **params: Any) -> Json:
        return await self.call("GET", path, status, params=params)

    async def post(self, path: str, body: Json | None = None, status: int = 201) -> Json:
        return await self.call("POST", path, status, json=body)

    async def patch(self, path: str, body: Json, status: int = 200) -> Json:
        return await self.call("PATCH", path, status, json=body)

    async def put(self, path: str, body: Json | None = None, status: int = 200) -> Json:
        return await self.call("PUT", path, status, json=body)

    async def delete(self, path: str, status: int = 204) -> Json:
        return await self.call("DELETE", path, status)

    async def call(self, method: str, path: str, status: int, **options: Any) -> Json:
        answer = await self.http.request(method, path, **options)
        assert answer.status_code == status, f"{method} {path}: {answer.status_code} {answer.text}"
        document: Json = answer.json() if answer.content else {}
        if status >= 400:
            assert answer.headers["content-type"] == "application/problem+json"
        return document

    async def channel(self, kind: str = "public", *members: "Person", **more: Any) -> str:
        """Make a channel with these members; returns its path."""
        made = await self.post("/v1/channels", {"name": "engines", "kind": kind, **more})
        path = f"/v1/channels/{made['id']}"
        for member in members:
            await self.post(f"{path}/members", {"user_id": member.id})
        return path

    async def say(self, channel: str, text: str = "hello", **more: Any) -> Json:
        """Post a message into the channel at this path."""
        return await self.post(f"{channel}/messages", {"text": text, **more})


class World:
    """The running service and those around it."""

    def __init__(self, issuer: TokenIssuer) -> None:
        self.issuer = issuer
        self.peers = StandIns()
        self.sent: list[Frame] = []
        """Every frame that went out live, in order."""
        self._clients = AsyncExitStack()
        self._last_id = ""

    async def enter(self, app: FastAPI, platform: Platform) -> None:
        self.app = app
        self.core: ServiceCore = app.state.core
        self.platform = platform
        await platform.bus.receive_frames(keep_in(self.sent), _nothing_was_missed)

    async def leave(self) -> None:
        await self._clients.aclose()
        for frame in self.sent:
            if frame.text:
                DECLARED.check(msgspec.json.decode(frame.text))

    async def person(self, name: str = "ada") -> Person:
        """Make somebody whom auth knows, and chat not yet."""
        user_id = self._next_id()
        username = f"{name}{next(_numbers)}"
        self.peers.users[str(user_id)] = {
            "id": str(user_id),
            "username": username,
            "display_name": username.title(),
        }
        client = client_for(self.app, user_id, self.issuer)
        return Person(str(user_id), username, await self._clients.enter_async_context(client))

    def _next_id(self) -> UserId:
        """Return an id greater than that of everyone before, for lists in the order of ids."""
        user_id = uuid7()
        while str(user_id) <= self._last_id:
            user_id = uuid7()
        self._last_id = str(user_id)
        return UserId(user_id)

    async def people(self, *names: str) -> Sequence[Person]:
        return [await self.person(name) for name in names]

    async def same(self, person: Person) -> Person:
        """Return somebody whom another process knows, as a client of this one."""
        client = client_for(self.app, UserId(UUID(person.id)), self.issuer)
        http = await self._clients.enter_async_context(client)
        return Person(person.id, person.username, http)

    async def hear(self, *types: str) -> list[Envelope]:
        """Return a list that fills with what chat tells other services from now on."""
        heard: list[Envelope] = []

        async def listen(envelope: Envelope) -> None:
            heard.append(envelope)

        await self.platform.bus.consume("test.events", types, listen)
        return heard

    async def service(self, name: str = "gateway") -> httpx.AsyncClient:
        """Return a client as another service has it."""
        return await self._clients.enter_async_context(
            client_of_service(self.app, self.issuer, name)
        )

    async def publish(self, event: Event, **attributes: Any) -> None:
        """Say a fact as another service would; returns when chat has reacted."""
        await self.platform.bus.publish([event.envelope(**attributes)])

    def stranger(self) -> httpx.AsyncClient:
        """Return a client without a token."""
        transport = httpx.ASGITransport(self.app)
        return httpx.AsyncClient(transport=transport, base_url="http://test")

    async def events(self, stream: str, after: int = 0) -> list[Json]:
        """Return what the log of a stream holds, each event with its control."""
        rows = await self.rows(
            "SELECT seq, text, control FROM chat.stream_log WHERE stream = $1 AND seq > $2 "
            "ORDER BY seq",
            stream,
            after,
        )
        events = []
        for row in rows:
            event = msgspec.json.decode(row["text"])
            assert (event["stream"], event["seq"]) == (stream, row["seq"])
            DECLARED.check(event)
            event["control"] = msgspec.json.decode(row["control"] or "null")
            events.append(event)
        return events

    async def rows(self, statement: str, *args: Any) -> list[Any]:
        async with (await self.core.database.pool()).acquire() as connection:
            rows: list[Any] = await connection.fetch(statement, *args)
            return rows


def channel_stream(path: str) -> str:
    """Return the stream of the channel at this path."""
    return f"channel:{path.rpartition('/')[2]}"


async def _nothing_was_missed() -> None:
    """Nothing to do: the bus in process loses no frame that a test waits for."""
