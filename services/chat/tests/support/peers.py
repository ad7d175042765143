"""auth and storage, as far as chat asks them; the black-box suite meets the real ones."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from sharezync_shared.contracts.auth import GET_NAMES, LIST_CONTACT_RULES
from sharezync_shared.contracts.storage import DESCRIBE_FILES, MAKE_URL
from sharezync_shared.ids import uuid7
from sharezync_shared.problems import NotFound, problem_response


@dataclass
class StandIns:
    """What auth and storage know; tests write into it. `away` are those that answer 503."""

    users: dict[str, dict[str, str]] = field(default_factory=dict)
    files: dict[str, dict[str, Any]] = field(default_factory=dict)
    away: set[str] = field(default_factory=set)
    asked: list[str] = field(default_factory=list)
    owners: list[str] = field(default_factory=list)
    """Whose files storage was asked for, each time."""
    urls: list[dict[str, Any]] = field(default_factory=list)
    contact_rules: list[dict[str, Any]] = field(default_factory=list)
    """What auth tells those who begin to listen, two to a page."""

    def add_file(self, owner_id: str, name: str = "engine.png") -> str:
        """Store a file of this owner; returns its id."""
        file_id = str(uuid7())
        self.files[file_id] = {
            "id": file_id,
            "name": name,
            "size_bytes": 48213,
            "mime": "image/png",
            "owner_id": owner_id,
            "sha256": "0" * 64,
            "created_at": "2026-11-21T17:00:00Z",
        }
        return file_id

    @property
    def applications(self) -> Mapping[str, ASGIApp]:
        return {
            "auth": Starlette(
                routes=[
                    Route(GET_NAMES.path, self._users),
                    Route(LIST_CONTACT_RULES.path, self._contact_rules),
                ]
            ),
            "storage": Starlette(
                routes=[
                    Route(DESCRIBE_FILES.path, self._files),
                    Route(MAKE_URL.path, self._url, methods=["POST"]),
                ]
            ),
        }

    async def _users(self, request: Request) -> Response:
        return self._answer("auth", request, "users", self.users)

    async def _contact_rules(self, request: Request) -> Response:
        if "auth" in self.away:
            return Response(status_code=503)
        after = request.query_params.get("after", "")
        left = [each for each in self.contact_rules if each["user_id"] > after]
        more = left[1]["user_id"] if len(left) > 2 else None
        return JSONResponse({"items": left[:2], "next": more})

    async def _files(self, request: Request) -> Response:
        self.owners.append(request.query_params["owner_id"])
        return self._answer("storage", request, "files", self.files)

    def _answer(
        self, peer: str, request: Request, name: str, known: Mapping[str, Mapping[str, Any]]
    ) -> Response:
        self.asked.append(request.url.path)
        if peer in self.away:
            return Response(status_code=503)
        if not request.headers["authorization"].startswith("Bearer "):
            return Response(status_code=401)
        ids = request.query_params["ids"].split(",")
        assert len(ids) <= 100
        return JSONResponse({name: [known[each] for each in ids if each in known]})

    async def _url(self, request: Request) -> Response:
        if "storage" in self.away:
            return Response(status_code=503)
        file_id = str(UUID(request.path_params["file_id"]))
        if file_id not in self.files:
            return problem_response(NotFound())
        asked = await request.json()
        self.urls.append(asked)
        url = f"/v1/files/{file_id}/content?expires=1&signature=abc"
        return JSONResponse({"url": url, "expires_at": "2026-11-21T17:00:00Z"})
