"""auth, chat and storage, as far as transfer asks them; the black-box suite meets the real ones."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from sharezync_shared.contracts import auth, chat, storage
from sharezync_shared.ids import uuid7
from sharezync_shared.ranges import Ranges

Json = dict[str, Any]


@dataclass
class StoredUpload:
    """An upload at storage, without the bytes."""

    body: Json
    chunk_count: int
    stored: Ranges = field(default_factory=Ranges)
    finished: Json | None = None


@dataclass
class StandIns:
    """What auth, chat and storage know; tests write into it. `away` are those that answer 503."""

    users: dict[str, dict[str, str]] = field(default_factory=dict)
    devices: set[tuple[str, str]] = field(default_factory=set)
    """Each with its user before it."""
    channels: list[set[str]] = field(default_factory=list)
    """Who is in each."""
    uploads: dict[str, StoredUpload] = field(default_factory=dict)
    away: set[str] = field(default_factory=set)
    refuse_upload: tuple[int, str] | None = None
    """Status and code with which the next upload that is opened is refused."""
    corrupt: set[str] = field(default_factory=set)
    """Names of files whose whole is not what was said."""
    still_verifying: int = 0
    """How many times finishing takes longer than an answer may."""
    asked: list[str] = field(default_factory=list)

    def named(self, name: str) -> StoredUpload:
        """Return the one upload of a file of this name."""
        (found,) = (each for each in self.uploads.values() if each.body["name"] == name)
        return found

    def store_everything(self) -> None:
        for upload in self.uploads.values():
            upload.stored = Ranges.whole(upload.chunk_count)

    @property
    def applications(self) -> Mapping[str, ASGIApp]:
        return {
            "auth": Starlette(
                routes=[
                    Route(auth.GET_NAMES.path, self._users),
                    Route(auth.LIST_CONTACT_RULES.path, self._contact_rules),
                    Route(auth.LIST_OWNED_DEVICES.path, self._owned, methods=["POST"]),
                ]
            ),
            "chat": Starlette(
                routes=[Route(chat.LIST_ACQUAINTANCES.path, self._acquaintances, methods=["POST"])]
            ),
            "storage": Starlette(
                routes=[
                    Route(storage.BEGIN_UPLOADS.path, self._begin, methods=["POST"]),
                    Route(storage.ABORT_UPLOADS.path, self._abort, methods=["POST"]),
                    Route(storage.LIST_UPLOADS.path, self._status, methods=["POST"]),
                    Route(storage.FINISH_UPLOADS.path, self._finish, methods=["POST"]),
                ]
            ),
        }

    def _refusal(self, peer: str, request: Request) -> Response | None:
        self.asked.append(f"{request.method} {request.url.path}")
        if peer in self.away:
            return Response(status_code=503)
        if not request.headers["authorization"].startswith("Bearer "):
            return Response(status_code=401)
        return None

    async def _users(self, request: Request) -> Response:
        if refusal := self._refusal("auth", request):
            return refusal
        ids = request.query_params["ids"].split(",")
        assert len(ids) <= 100
        return JSONResponse({"users": [self.users[each] for each in ids if each in self.users]})

    async def _contact_rules(self, _: Request) -> Response:
        return JSONResponse({"items": [], "next": None})

    async def _owned(self, request: Request) -> Response:
        if refusal := self._refusal("auth", request):
            return refusal
        asked = (await request.json())["devices"]
        assert len(asked) <= 200
        owned = [each for each in asked if (each["user_id"], each["device_id"]) in self.devices]
        return JSONResponse({"devices": owned})

    async def _acquaintances(self, request: Request) -> Response:
        if refusal := self._refusal("chat", request):
            return refusal
        asked = await request.json()
        assert len(asked["other_ids"]) <= 200
        friends = set().union(*(each for each in self.channels if asked["user_id"] in each))
        return JSONResponse({"ids": [each for each in asked["other_ids"] if each in friends]})

    async def _begin(self, request: Request) -> Response:
        if refusal := self._refusal("storage", request):
            return refusal
        if self.refuse_upload is not None:
            (status, code), self.refuse_upload = self.refuse_upload, None
            return _problem(status, code)
        asked = await request.json()
        common = {"owner_id": asked["owner_id"], "chunk_size_bytes": asked["chunk_size_bytes"]}
        opened = []
        for file in asked["files"]:
            upload_id = str(uuid7())
            count = -(-file["size_bytes"] // asked["chunk_size_bytes"])
            self.uploads[upload_id] = StoredUpload({"sha256": None, **file, **common}, count)
            opened.append({"id": upload_id, "chunk_count": count})
        return JSONResponse({"uploads": opened}, status_code=201)

    async def _abort(self, request: Request) -> Response:
        if refusal := self._refusal("storage", request):
            return refusal
        for upload_id in (await request.json())["ids"]:
            self.uploads.pop(upload_id, None)
        return Response(status_code=204)

    async def _status(self, request: Request) -> Response:
        if refusal := self._refusal("storage", request):
            return refusal
        found = [
            self._read(upload_id)
            for upload_id in (await request.json())["ids"]
            if upload_id in self.uploads
        ]
        return JSONResponse({"uploads": found})

    def _read(self, upload_id: str) -> Json:
        upload = self.uploads[upload_id]
        return {
            "id": upload_id,
            "size_bytes": upload.body["size_bytes"],
            "chunk_size_bytes": upload.body["chunk_size_bytes"],
            "chunk_count": upload.chunk_count,
            "stored_bytes": upload.stored.count * upload.body["chunk_size_bytes"],
            "stored": upload.stored.pairs(),
            "state": "receiving",
            "root": None,
            "sha256": upload.body["sha256"],
            "file_id": None,
        }

    async def _finish(self, request: Request) -> Response:
        if refusal := self._refusal("storage", request):
            return refusal
        upload_ids = (await request.json())["ids"]
        empty = {"finished": None, "problem": None}
        return JSONResponse({"results": [{**empty, **self._finished(each)} for each in upload_ids]})

    def _finished(self, upload_id: str) -> Json:
        upload = self.uploads.get(upload_id)
        if upload is None:
            return {"problem": {"code": "not-found"}}
        missing = upload.stored.gaps(upload.chunk_count)
        if missing:
            return {"problem": {"code": "upload-incomplete", "missing": missing.pairs()}}
        if upload.body["name"] in self.corrupt:
            return {"problem": {"code": "digest-mismatch"}}
        if self.still_verifying:
            self.still_verifying -= 1
            return {"problem": {"code": "upload-finishing", "retry_after_seconds": 0.01}}
        root = hashlib.sha256(upload_id.encode()).hexdigest()
        upload.finished = {"file_id": upload_id, "root": root, "sha256": upload.body["sha256"]}
        return {"finished": upload.finished}


def _problem(status: int, code: str) -> Response:
    document = {"code": code, "status": status, "detail": f"storage says {code}"}
    return JSONResponse(
        document, status_code=status, headers={"content-type": "application/problem+json"}
    )
