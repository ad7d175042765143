"""What chat asks other services for. Never inside a transaction."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

import httpx
import msgspec
import structlog

from sharezync_chat.models import FileId
from sharezync_shared.ids import UserId
from sharezync_shared.problems import NotFound, Unavailable

log = structlog.get_logger()

Shape = TypeVar("Shape")

_MOST_IDS = 100  # what one internal call may ask for


class PeerUser(msgspec.Struct, frozen=True):
    """A user, as auth knows them."""

    id: UUID
    username: str
    display_name: str
    who_may_add: str = "everybody"


class PeerFile(msgspec.Struct, frozen=True):
    """A file, as storage knows it."""

    id: UUID
    owner_id: UUID
    name: str
    size_bytes: int
    mime: str


class _Users(msgspec.Struct):
    users: list[PeerUser]


class _Files(msgspec.Struct):
    files: list[PeerFile]


class _Url(msgspec.Struct):
    url: str
    expires_at: datetime | None = None


class Peers:
    """auth and storage, through clients that carry chat's credential.

    Every call raises Unavailable where the peer does not answer as it should: the caller may come
    again. The clients are not closed here.
    """

    def __init__(self, *, auth: httpx.AsyncClient, storage: httpx.AsyncClient) -> None:
        self._auth = auth
        self._storage = storage

    async def users(self, user_ids: Collection[UserId]) -> list[PeerUser]:
        """Return those of these users that exist."""
        found: list[PeerUser] = []
        for ids in _portions(user_ids):
            answer = await _call(self._auth, "GET", "/internal/users", params={"ids": ids})
            found += _decoded(answer, _Users).users
        return found

    async def files(self, file_ids: Collection[FileId], owner_id: UserId) -> list[PeerFile]:
        """Return those of these files that exist and are this user's; nobody else's are held."""
        found: list[PeerFile] = []
        for ids in _portions(file_ids):
            asked = {"ids": ids, "owner_id": str(owner_id)}
            answer = await _call(self._storage, "GET", "/internal/files", params=asked)
            found += _decoded(answer, _Files).files
        return found

    async def file_url(self, file_id: FileId, user_id: UserId, expires_in_seconds: int) -> str:
        """Return where this user may fetch the file, for so long and from now on.

        May be relative to the gateway. Raises NotFound for a file that is gone.
        """
        answer = await _call(
            self._storage,
            "POST",
            f"/internal/files/{file_id}/urls",
            json={"user_id": str(user_id), "expires_in_seconds": expires_in_seconds},
        )
        return _decoded(answer, _Url).url


def _portions(ids: Collection[UUID]) -> Sequence[str]:
    texts = sorted(str(each) for each in set(ids))
    return [",".join(texts[i : i + _MOST_IDS]) for i in range(0, len(texts), _MOST_IDS)]


async def _call(
    client: httpx.AsyncClient,
    method: str,
    path: str,
    **options: Any,  # noqa: ANN401 - httpx's own
) -> httpx.Response:
    try:
        answer = await client.request(method, path, **options)
    except httpx.HTTPError as error:
        log.debug("peer_unreachable", url=str(client.base_url), error=repr(error))
        raise Unavailable("Another service is temporarily unavailable") from error
    if answer.status_code == httpx.codes.NOT_FOUND:
        raise NotFound
    if not answer.is_success:
        # Of an outage the peer tells itself, once.
        tell = log.debug if answer.status_code == httpx.codes.SERVICE_UNAVAILABLE else log.warning
        tell("peer_refused", url=_address(answer), status=answer.status_code)
        raise Unavailable("Another service is temporarily unavailable")
    return answer


def _decoded(answer: httpx.Response, shape: type[Shape]) -> Shape:
    try:
        return msgspec.json.decode(answer.content, type=shape)
    except msgspec.DecodeError as error:
        log.warning("peer_response_invalid", url=_address(answer), error=str(error))
        raise Unavailable("Another service is temporarily unavailable") from error


def _address(answer: httpx.Response) -> str:
    return str(answer.url.copy_with(query=None))  # ids of people are not for logs
