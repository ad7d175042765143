"""People, and what they can do in a test."""

import hashlib
import itertools
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import httpx
import msgspec
from fastapi import FastAPI

from services.transfer.tests.support.peers import StandIns
from sharezync_shared.events.bus import Envelope
from sharezync_shared.events.contracts import Event
from sharezync_shared.ids import DeviceId, SessionId, UserId, uuid7
from sharezync_shared.platform import Platform
from sharezync_shared.service import ServiceCore
from sharezync_shared.streams.declared import Realtime
from sharezync_shared.streams.frames import Frame
from sharezync_shared.tokens.issuer import TokenIssuer
from sharezync_testkit.frames import DeclaredEvents
from sharezync_testkit.sent_frames import keep_in
from sharezync_testkit.service import client_of_service
from sharezync_transfer.usecases.events import EVENTS

Json = dict[str, Any]

DECLARED = DeclaredEvents(Realtime(EVENTS).document())
"""What every event and signal of these tests is held against."""

MIB = 1024 * 1024

_numbers = itertools.count(1)


@dataclass
class Person:
    """Somebody with a token. Each call returns the answer's JSON and insists on its status."""

    id: str
    http: httpx.AsyncClient
    device_id: str | None = None

    @property
    def uuid(self) -> UUID:
        return UUID(self.id)

    @property
    def stream(self) -> str:
        return f"transfers:{self.id}"

    async def get(self, path: str, status: int = 200, **params: Any) -> Json:
        return await self.call("GET", path, status, params=params)

    async def post(self, path: str, body: Json | None = None, status: int = 200) -> Json:
        return await self.call("POST", path, status, json=body)

    async def call(self, method: str, path: str, status: int, **options: Any) -> Json:
        answer = await self.http.request(method, path, **options)
        assert answer.status_code == status, f"{method} {path}: {answer.status_code} {answer.text}"
        document: Json = answer.json() if answer.content else {}
        if status >= 400:
            assert answer.headers["content-type"] == "application/problem+json"
        return document

    async def refused(self, path: str, body: Json | None = None, *, status: int) -> str:
        """Post what is refused with this status; returns the problem's code."""
        return str((await self.post(path, body, status))["code"])

    async def offer(
        self, *to: "Person", files: Mapping[str, int] | None = None, status: int = 201, **more: Any
    ) -> Json:
        """Offer files, by name and size, to people; returns the transfer."""
        described = [
            {
                "name": name,
                "size": size,
                "mime": "application/octet-stream",
                "sha256": hashlib.sha256(name.encode()).hexdigest(),
            }
            for name, size in (files or {"film.mkv": 3 * MIB}).items()
        ]
        recipients = [
            {"user_id": each.id, **({"device_id": each.device_id} if each.device_id else {})}
            for each in to
        ]
        body = {"recipients": recipients, "files": described, **more}
        return await self.post("/v1/transfers", body, status)

    async def sees(self, transfer: Json) -> Json:
        """Return the transfer as this person sees it now."""
        return await self.get(f"/v1/transfers/{transfer['id']}")

    async def act(self, transfer: Json, act: str, body: Json | None = None) -> Json:
        return await self.post(f"/v1/transfers/{transfer['id']}/{act}", body)


def own_part(person: Person, transfer: Json) -> Json:
    """Return this recipient's entry of a transfer."""
    (part,) = (each for each in transfer["recipients"] if each["user_id"] == person.id)
    return dict(part)


def about(heard: Sequence[Envelope], transfer: Json) -> list[Envelope]:
    """Return what was heard of this transfer: an earlier test may have left news of its own."""
    return [envelope for envelope in heard if envelope.subject == transfer["id"]]


class World:
    """The running service and those around it."""

    def __init__(self, issuer: TokenIssuer) -> None:
        self.issuer = issuer
        self.peers = StandIns()
        self.sent: list[Frame] = []
        """Every frame that went out live, in order."""
        self._clients = AsyncExitStack()

    async def enter(self, app: FastAPI, platform: Platform) -> None:
        self.app = app
        self.core: ServiceCore = app.state.core
        self.platform = platform
        await platform.bus.receive_frames(keep_in(self.sent), _nothing_was_missed)
        self.gateway = await self._clients.enter_async_context(
            client_of_service(app, self.issuer, "gateway")
        )

    async def leave(self) -> None:
        await self._clients.aclose()
        for frame in self.sent:
            if frame.text:
                DECLARED.check(msgspec.json.decode(frame.text))

    async def person(self, *, known: bool = True) -> Person:
        """Make somebody, whom auth knows and transfer not yet."""
        user_id = UserId(uuid7())
        if known:
            name = f"ada{next(_numbers)}"
            self.peers.users[str(user_id)] = {
                "id": str(user_id),
                "username": name,
                "display_name": name.title(),
            }
        return await self._logged_in(user_id, None)

    async def people(self, count: int) -> Sequence[Person]:
        return [await self.person() for _ in range(count)]

    async def known_as(self, user_id: UserId) -> Person:
        """Return the user with this id, who needs no introduction."""
        return await self._logged_in(user_id, None)

    def befriend(self, *people: Person) -> None:
        """Put people into a channel together."""
        self.peers.channels.append({each.id for each in people})

    async def on_device(self, person: Person) -> Person:
        """Return the same person, logged in on a device of its own."""
        device_id = DeviceId(uuid7())
        self.peers.devices.add((person.id, str(device_id)))
        return await self._logged_in(UserId(UUID(person.id)), device_id)

    async def _logged_in(self, user_id: UserId, device_id: DeviceId | None) -> Person:
        token = self.issuer.access_token(
            user_id=user_id, session_id=SessionId(uuid7()), device_id=device_id
        ).token
        client = httpx.AsyncClient(
            transport=httpx.ASGITransport(self.app),
            base_url="http://test",
            headers={"Authorization": f"Bearer {token}"},
        )
        http = await self._clients.enter_async_context(client)
        return Person(str(user_id), http, str(device_id) if device_id else None)

    def stranger(self) -> httpx.AsyncClient:
        """Return a client without a token; the caller closes it."""
        return httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url="http://test")

    # --- as a gateway does ---------------------------------------------------------------------

    async def command(self, person: Person, kind: str, **data: Any) -> Json:
        """Carry out a frame that this person sent; returns its result."""
        command = {
            "user_id": person.id,
            "device_id": person.device_id,
            "kind": kind,
            "data": data,
        }
        answer = await self.gateway.post("/internal/commands", json={"commands": [command]})
        assert answer.status_code == 200, answer.text
        (result,) = answer.json()["results"]
        return dict(result)

    async def attach(self, person: Person, transfer: Json, status: int = 200) -> Json:
        return await self._internal(person, transfer, "attach", status)

    async def report(
        self, person: Person, transfer: Json, status: int = 200, **progress: Any
    ) -> Json:
        return await self._internal(person, transfer, "progress", status, **progress)

    async def _internal(
        self, person: Person, transfer: Json, act: str, status: int, **data: Any
    ) -> Json:
        path = f"/internal/transfers/{transfer['id']}/{act}"
        body = {"user_id": person.id, "device_id": person.device_id, **data}
        answer = await self.gateway.post(path, json=body)
        assert answer.status_code == status, answer.text
        return dict(answer.json())

    async def receives(self, person: Person, transfer: Json) -> Json:
        """Have a recipient confirm every chunk of every file."""
        ranges = {
            str(file["index"]): [[0, file["chunk_count"] - 1]]
            for file in transfer["files"]
            if file["chunk_count"]
        }
        return await self.report(person, transfer, received=ranges)

    # --- what is told --------------------------------------------------------------------------

    async def publish(self, event: Event, **attributes: Any) -> None:
        """Say a fact as another service would; returns when transfer has reacted."""
        await self.platform.bus.publish([event.envelope(**attributes)])

    async def hear(self, *types: str) -> list[Envelope]:
        """Return a list that fills with what transfer tells other services from now on."""
        heard: list[Envelope] = []

        async def listen(envelope: Envelope) -> None:
            heard.append(envelope)

        await self.platform.bus.consume("test.events", types, listen)
        return heard

    async def events(self, person: Person) -> list[Json]:
        """Return what the log of a person's stream holds."""
        rows = await self.rows(
            "SELECT seq, text FROM transfer.stream_log WHERE stream = $1 ORDER BY seq",
            person.stream,
        )
        events = [msgspec.json.decode(row["text"]) for row in rows]
        assert [event["seq"] for event in events] == [row["seq"] for row in rows]
        for event in events:
            DECLARED.check(event)
        return events

    async def told(self, person: Person) -> list[str]:
        """Return the types of a person's events, in order."""
        return [event["type"] for event in await self.events(person)]

    def signals(self, person: Person) -> list[Json]:
        """Return what went out to a person without being stored."""
        return [
            msgspec.json.decode(frame.text)
            for frame in self.sent
            if frame.stream == person.stream and frame.seq == 0
        ]

    async def rows(self, statement: str, *args: Any) -> list[Any]:
        async with (await self.core.database.pool()).acquire() as connection:
            rows: list[Any] = await connection.fetch(statement, *args)
            return rows


async def _nothing_was_missed() -> None:
    """Nothing to do: the bus in process loses no frame that a test waits for."""


def state_of(transfer: Json) -> Json:
    """Return what gateways are told of a transfer, of what people see of it."""
    of_file = ("index", "stored_bytes", "root", "name", "mime")
    files = [{name: file[name] for name in of_file} for file in transfer["files"]]
    return {"id": transfer["id"], "state": transfer["state"], "files": files}
