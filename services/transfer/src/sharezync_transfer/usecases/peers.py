"""What transfer asks other services for. Never inside a transaction."""

from collections.abc import Collection, Sequence
from typing import Any, Final, TypeVar
from uuid import UUID

import httpx
import msgspec
import structlog

from sharezync_shared.ids import UserId
from sharezync_shared.problems import Invalid, NotFound, Problem, Unavailable
from sharezync_shared.ranges import Ranges
from sharezync_transfer.problems import QuotaExceeded, TooManyFiles, TransferTooLarge

log = structlog.get_logger()

Shape = TypeVar("Shape")

_MOST_IDS: Final = 100  # what one internal call may ask for
_MOST_DEVICES: Final = 200
_AWAY: Final = "Another service is temporarily unavailable"


class PeerUser(msgspec.Struct, frozen=True):
    """A user, as auth knows them."""

    id: UUID
    username: str
    display_name: str


class FileToStore(msgspec.Struct, frozen=True, omit_defaults=True):
    """A file whose chunks will come; `sha256` is hexadecimal."""

    name: str
    size_bytes: int
    mime: str | None = None
    sha256: str | None = None


class Finished(msgspec.Struct, frozen=True):
    """A file that storage has confirmed; digests are hexadecimal."""

    file_id: UUID
    root: str
    sha256: str | None = None


class ChunksMissing(Exception):
    """An upload can't be finished yet."""

    def __init__(self, missing: list[tuple[int, int]]) -> None:
        super().__init__(missing)
        self.missing = missing


class DigestsDiffer(Exception):
    """An upload is whole, and not what its sender said it would be. Final."""


class StillVerifying(Exception):
    """Storage is at it: ask again in so many seconds."""

    def __init__(self, after_seconds: float) -> None:
        super().__init__(after_seconds)
        self.after_seconds = after_seconds


class _Users(msgspec.Struct):
    users: list[PeerUser]


class _Device(msgspec.Struct):
    user_id: UUID
    device_id: UUID


class _Devices(msgspec.Struct):
    devices: list[_Device]


class _Acquaintances(msgspec.Struct):
    ids: list[UUID]


class _Refusal(msgspec.Struct):
    code: str = ""
    detail: str = ""
    missing: list[tuple[int, int]] = []
    limit_bytes: int | None = None
    retry_after_seconds: float = 1.0


class _Upload(msgspec.Struct):
    id: UUID


class _Opened(msgspec.Struct):
    uploads: list[_Upload]


class _Record(msgspec.Struct):
    id: UUID
    stored: list[tuple[int, int]]


class _Records(msgspec.Struct):
    uploads: list[_Record]


class _FinishResult(msgspec.Struct):
    finished: Finished | None = None
    problem: _Refusal | None = None


class _FinishResults(msgspec.Struct):
    results: list[_FinishResult]


class Peers:
    """auth, chat and storage, through clients that carry transfer's credential.

    Every call raises Unavailable where the peer does not answer as it should: the caller may come
    again. The clients are not closed here.
    """

    def __init__(
        self, *, auth: httpx.AsyncClient, chat: httpx.AsyncClient, storage: httpx.AsyncClient
    ) -> None:
        self._auth = auth
        self._chat = chat
        self._storage = storage

    async def users(self, user_ids: Collection[UserId]) -> list[PeerUser]:
        """Return those of these users that exist."""
        texts = sorted(str(each) for each in set(user_ids))
        found: list[PeerUser] = []
        for start in range(0, len(texts), _MOST_IDS):
            ids = ",".join(texts[start : start + _MOST_IDS])
            answer = await _call(self._auth, "GET", "/internal/users", params={"ids": ids})
            if not answer.is_success:
                raise _misspoke(answer)
            found += _decoded(answer, _Users).users
        return found

    async def owned_devices(self, devices: Collection[tuple[UUID, UUID]]) -> set[tuple[UUID, UUID]]:
        """Return those of these pairs, of a user's id and a device's, in which it is theirs."""
        asked = sorted({(str(user_id), str(device_id)) for user_id, device_id in devices})
        found: set[tuple[UUID, UUID]] = set()
        for start in range(0, len(asked), _MOST_DEVICES):
            batch = asked[start : start + _MOST_DEVICES]
            body = {"devices": [{"user_id": user, "device_id": device} for user, device in batch]}
            answer = await _call(self._auth, "POST", "/internal/devices/owned", json=body)
            if not answer.is_success:
                raise _misspoke(answer)
            found |= {(e.user_id, e.device_id) for e in _decoded(answer, _Devices).devices}
        return found

    async def who_know(self, user_id: UserId, others: Collection[UserId]) -> set[UUID]:
        """Return those of the others who know somebody from a channel; 200 at most."""
        body = {"user_id": str(user_id), "other_ids": sorted(map(str, others))}
        answer = await _call(self._chat, "POST", "/internal/acquaintances", json=body)
        if not answer.is_success:
            raise _misspoke(answer)
        return set(_decoded(answer, _Acquaintances).ids)

    async def open_uploads(
        self, *, owner_id: UserId, files: Sequence[FileToStore], chunk_size_bytes: int
    ) -> list[UUID]:
        """Open a place for the chunks of each of these files, or for none; return their ids.

        Raises QuotaExceeded, TooManyFiles, TransferTooLarge and Invalid. Not idempotent: what is
        opened by a call whose answer is lost is given up by storage when nothing comes.
        """
        body = {
            "owner_id": str(owner_id),
            "chunk_size_bytes": chunk_size_bytes,
            "files": files,
        }
        answer = await self._of_uploads("begin", body)
        if answer.is_success:
            opened = _decoded(answer, _Opened).uploads
            if len(opened) != len(files):
                raise _misspoke(answer)
            return [each.id for each in opened]
        refusal = _refusal(answer)
        match answer.status_code, refusal.code:
            case _, "quota-exceeded":
                raise QuotaExceeded(refusal.detail)
            case _, "too-many-uploads" | "too-many-files":
                raise TooManyFiles(refusal.detail)
            case 413, _:
                raise TransferTooLarge(refusal.detail, limit_bytes=refusal.limit_bytes)
            case 422, _:
                raise Invalid(refusal.detail)
        raise _misspoke(answer)

    async def drop_uploads(self, upload_ids: Sequence[UUID]) -> None:
        """Have storage forget uploads of one transfer and everything in them. Idempotent."""
        answer = await self._of_uploads("abort", {"ids": upload_ids})
        if not answer.is_success:
            raise _misspoke(answer)

    async def stored(self, upload_ids: Sequence[UUID]) -> dict[UUID, Ranges]:
        """Return which chunks storage has of each upload; those that are gone are left out."""
        answer = await self._of_uploads("status", {"ids": upload_ids})
        if not answer.is_success:
            raise _misspoke(answer)
        return {each.id: Ranges(each.stored) for each in _decoded(answer, _Records).uploads}

    async def finish_uploads(self, upload_ids: Sequence[UUID]) -> list[Finished | Exception]:
        """Have storage verify uploads, and return what came of each, in their order. Idempotent.

        Instead of a file: ChunksMissing, DigestsDiffer, StillVerifying, NotFound for one that is
        gone, or Unavailable.
        """
        answer = await self._of_uploads("finish", {"ids": upload_ids})
        if not answer.is_success:
            raise _misspoke(answer)
        results = _decoded(answer, _FinishResults).results
        if len(results) != len(upload_ids):
            raise _misspoke(answer)
        return [each.finished or _unfinished(each.problem or _Refusal()) for each in results]

    async def _of_uploads(self, act: str, body: object) -> httpx.Response:
        return await _call(
            self._storage,
            "POST",
            f"/internal/uploads/{act}",
            content=msgspec.json.encode(body),
            headers={"content-type": "application/json"},
        )


def _unfinished(refusal: _Refusal) -> Exception:
    match refusal.code:
        case "upload-incomplete":
            return ChunksMissing(refusal.missing)
        case "digest-mismatch":
            return DigestsDiffer()
        case "upload-finishing":
            return StillVerifying(refusal.retry_after_seconds)
        case "upload-closed" | "not-found":
            return NotFound()
    log.warning("upload_refused", code=refusal.code)
    return Unavailable(_AWAY)


async def _call(
    client: httpx.AsyncClient,
    method: str,
    path: str,
    **options: Any,  # noqa: ANN401 - httpx's own
) -> httpx.Response:
    try:
        return await client.request(method, path, **options)
    except httpx.HTTPError as error:
        log.debug("peer_unreachable", url=str(client.base_url), error=repr(error))
        raise Unavailable(_AWAY) from error


def _misspoke(answer: httpx.Response) -> Problem:
    """Return what to raise for an answer that is of no use."""
    url = str(answer.url.copy_with(query=None))
    # Of an outage the peer tells itself, once.
    tell = log.debug if answer.status_code == httpx.codes.SERVICE_UNAVAILABLE else log.warning
    tell("peer_refused", url=url, status=answer.status_code, code=_refusal(answer).code)
    return Unavailable(_AWAY)


def _decoded(answer: httpx.Response, shape: type[Shape]) -> Shape:
    try:
        return msgspec.json.decode(answer.content, type=shape)
    except msgspec.DecodeError as error:
        url = str(answer.url.copy_with(query=None))
        log.warning("peer_response_invalid", url=url, error=str(error))
        raise Unavailable(_AWAY) from error


def _refusal(answer: httpx.Response) -> _Refusal:
    try:
        return msgspec.json.decode(answer.content, type=_Refusal)
    except msgspec.DecodeError:
        return _Refusal()
