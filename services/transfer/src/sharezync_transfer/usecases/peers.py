"""What transfer asks other services for. Never inside a transaction."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import suppress
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
Item = TypeVar("Item")
Answer = TypeVar("Answer")

_MOST_IDS: Final = 100  # what one internal call may ask for
_MOST_DEVICES: Final = 200
_AT_ONCE: Final = 8  # calls to storage for the files of one transfer
_AWAY: Final = "Another service does not answer at this moment"


class PeerUser(msgspec.Struct, frozen=True):
    """A user, as auth knows them."""

    id: UUID
    username: str
    display_name: str


class Upload(msgspec.Struct, frozen=True):
    """Where the chunks of a file go."""

    id: UUID
    chunk_count: int


class Finished(msgspec.Struct, frozen=True):
    """A file that storage has confirmed; digests are hexadecimal."""

    file_id: UUID
    root: str
    sha256: str | None = None


class Record(msgspec.Struct, frozen=True):
    """What storage has of an upload: `stored` are ranges of chunk indexes."""

    chunk_count: int
    stored_bytes: int
    stored: list[tuple[int, int]]

    @property
    def held(self) -> Ranges:
        """Which chunks are stored."""
        return Ranges(self.stored)


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

    async def open_upload(
        self,
        *,
        owner_id: UserId,
        name: str,
        size_bytes: int,
        mime: str | None,
        chunk_size_bytes: int,
        sha256: bytes | None,
    ) -> Upload:
        """Open a place for the chunks of a file.

        Raises QuotaExceeded, TooManyFiles, TransferTooLarge and Invalid. Not idempotent: one whose
        answer was lost is given up by storage when nothing comes.
        """
        body = {
            "owner_id": str(owner_id),
            "name": name,
            "size_bytes": size_bytes,
            "mime": mime,
            "chunk_size_bytes": chunk_size_bytes,
            "sha256": sha256.hex() if sha256 else None,
        }
        answer = await _call(self._storage, "POST", "/internal/uploads", json=body)
        if answer.is_success:
            return _decoded(answer, Upload)
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

    async def drop_upload(self, upload_id: UUID) -> None:
        """Have storage forget an upload and everything in it. Idempotent."""
        answer = await _call(self._storage, "DELETE", f"/internal/uploads/{upload_id}")
        if not answer.is_success and answer.status_code != httpx.codes.NOT_FOUND:
            raise _misspoke(answer)

    async def record(self, upload_id: UUID) -> Record:
        """Return what storage has of an upload. Raises NotFound for one that is gone."""
        answer = await _call(self._storage, "GET", f"/internal/uploads/{upload_id}")
        if answer.status_code == httpx.codes.NOT_FOUND:
            raise NotFound
        if not answer.is_success:
            raise _misspoke(answer)
        return _decoded(answer, Record)

    async def finish_upload(self, upload_id: UUID) -> Finished:
        """Have storage verify an upload. Idempotent.

        Raises ChunksMissing, DigestsDiffer, StillVerifying, and NotFound for one that is gone.
        """
        answer = await _call(self._storage, "POST", f"/internal/uploads/{upload_id}/finish")
        if answer.is_success:
            return _decoded(answer, Finished)
        refusal = _refusal(answer)
        match refusal.code:
            case "upload-incomplete":
                raise ChunksMissing(refusal.missing)
            case "digest-mismatch":
                raise DigestsDiffer
            case "upload-finishing":
                raise StillVerifying(_seconds(answer.headers.get("retry-after", "")))
            case "upload-closed":
                raise NotFound
        if answer.status_code == httpx.codes.NOT_FOUND:
            raise NotFound
        raise _misspoke(answer)


async def for_each(
    items: Sequence[Item], call: Callable[[Item], Awaitable[Answer]]
) -> list[Answer | Exception]:
    """Call for each item, some at a time; answers or failures in the order of the items."""
    gate = asyncio.Semaphore(_AT_ONCE)

    async def one(item: Item) -> Answer | Exception:
        async with gate:
            try:
                return await call(item)
            except Exception as error:  # noqa: BLE001 - the caller looks at each
                return error

    return await asyncio.gather(*map(one, items))


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
        log.warning("peer_misspoke", url=url, error=str(error))
        raise Unavailable(_AWAY) from error


def _refusal(answer: httpx.Response) -> _Refusal:
    try:
        return msgspec.json.decode(answer.content, type=_Refusal)
    except msgspec.DecodeError:
        return _Refusal()


def _seconds(text: str) -> float:
    with suppress(ValueError):
        return float(text)
    return 1.0
