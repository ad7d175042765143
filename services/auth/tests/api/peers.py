"""chat, transfer and storage, as far as auth asks them; the black-box suite meets the real ones."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from sharezync_shared.contracts.acquaintances import GET_ACQUAINTANCE
from sharezync_shared.contracts.storage import DESCRIBE_FILES, FileDescription, FileList
from sharezync_shared.ids import uuid7

PEERS = ("chat", "transfer")


@dataclass
class StandIns:
    """What chat, transfer and storage know; tests write into it.

    `shared` are (peer, who looks, at whom), `files` the owners of files. A peer
    in `answers` says that instead, and one in `silent` waits for its event first.
    """

    shared: set[tuple[str, str, str]] = field(default_factory=set)
    files: dict[str, str] = field(default_factory=dict)
    mimes: dict[str, str] = field(default_factory=dict)
    answers: dict[str, Response] = field(default_factory=dict)
    silent: dict[str, asyncio.Event] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)

    @property
    def applications(self) -> Mapping[str, ASGIApp]:
        storage = Starlette(routes=[Route(DESCRIBE_FILES.path, self._files)])
        return {"storage": storage} | {name: self._application(name) for name in PEERS}

    def add_file(self, owner_id: str, mime: str = "image/png") -> str:
        """Store a file of this owner; returns its id."""
        file_id = str(uuid7())
        self.mimes[file_id] = mime
        self.files[file_id] = owner_id
        return file_id

    async def _files(self, request: Request) -> Response:
        self.asked.append("storage")
        self.tokens.append(request.headers["authorization"].removeprefix("Bearer "))
        if "storage" in self.answers:
            return self.answers["storage"]
        asked = request.query_params["ids"].split(",")
        files = [
            FileDescription(
                UUID(each),
                "a.png",
                1,
                self.mimes.get(each, "image/png"),
                None,
                UUID(self.files[each]),
                datetime.now(UTC),
            )
            for each in asked
            if each in self.files
        ]
        return Response(msgspec.json.encode(FileList(files)))

    def _application(self, name: str) -> ASGIApp:
        async def acquaintances(request: Request) -> Response:
            self.asked.append(name)
            self.tokens.append(request.headers["authorization"].removeprefix("Bearer "))
            if name in self.silent:
                await self.silent[name].wait()
            if name in self.answers:
                return self.answers[name]
            query = request.query_params
            found = (name, query["user_id"], query["other_id"]) in self.shared
            return JSONResponse({"acquainted": found})

        return Starlette(routes=[Route(GET_ACQUAINTANCE.path, acquaintances)])
