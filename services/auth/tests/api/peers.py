"""chat, transfer and storage, as far as auth asks them; the black-box suite meets the real ones."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

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
    answers: dict[str, Response] = field(default_factory=dict)
    silent: dict[str, asyncio.Event] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)

    @property
    def applications(self) -> Mapping[str, ASGIApp]:
        storage = Starlette(routes=[Route("/internal/files", self._files)])
        return {"storage": storage} | {name: self._application(name) for name in PEERS}

    def add_file(self, owner_id: str) -> str:
        """Store a file of this owner; returns its id."""
        file_id = str(uuid7())
        self.files[file_id] = owner_id
        return file_id

    async def _files(self, request: Request) -> Response:
        self.asked.append("storage")
        self.tokens.append(request.headers["authorization"].removeprefix("Bearer "))
        if "storage" in self.answers:
            return self.answers["storage"]
        asked = request.query_params["ids"].split(",")
        files = [{"id": each, "owner_id": self.files[each]} for each in asked if each in self.files]
        return JSONResponse({"files": files})

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

        return Starlette(routes=[Route("/internal/acquaintances", acquaintances)])
