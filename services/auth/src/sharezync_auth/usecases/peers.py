"""What auth asks other services for. Never inside a transaction."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Final, TypeVar
from uuid import UUID

import httpx
import msgspec
import structlog

from sharezync_shared.ids import UserId
from sharezync_shared.problems import Unavailable

log = structlog.get_logger()

Shape = TypeVar("Shape")

_AWAY: Final = "Another service is temporarily unavailable"


class _Acquaintance(msgspec.Struct):
    acquainted: bool


class _File(msgspec.Struct):
    id: UUID
    owner_id: UUID


class _Files(msgspec.Struct):
    files: list[_File]


class Peers:
    """chat, transfer and storage, through clients that are not closed here.

    `credential` returns a token of auth's own for them: auth makes it itself, where the others ask
    for one, and so needs no way to its own front door. Calls raise Unavailable where a peer does
    not answer as it should: the caller may come again.
    """

    def __init__(
        self,
        *,
        chat: httpx.AsyncClient,
        transfer: httpx.AsyncClient,
        storage: httpx.AsyncClient,
        credential: Callable[[], str],
    ) -> None:
        self._clients = (chat, transfer)
        self._storage = storage
        self._credential = credential

    async def acquainted(self, user_id: UserId, other_id: UserId) -> bool:
        """Return whether `other_id` knows `user_id`, from a channel or a transfer they agreed to.

        Both services are asked at once and the first yes decides. Raises Unavailable where one of
        them could not be asked and the other says no.
        """
        asked = [
            asyncio.create_task(self._ask(client, user_id, other_id)) for client in self._clients
        ]
        away: Unavailable | None = None
        try:
            for answer in asyncio.as_completed(asked):
                try:
                    if await answer:
                        return True
                except Unavailable as error:
                    away = error
        finally:
            for task in asked:
                task.cancel()
            await asyncio.gather(*asked, return_exceptions=True)
        if away is not None:
            raise away
        return False

    async def owns_file(self, user_id: UserId, file_id: UUID) -> bool:
        """Return whether this is a finished file of this user's own.

        Storage then holds it for an hour, and nobody else's. Raises Unavailable where storage could
        not be asked.
        """
        asked = {"ids": str(file_id), "owner_id": str(user_id)}
        found = await self._get(self._storage, "/internal/files", asked, _Files)
        return any((file.id, file.owner_id) == (file_id, user_id) for file in found.files)

    async def _ask(self, client: httpx.AsyncClient, user_id: UserId, other_id: UserId) -> bool:
        asked = {"user_id": str(user_id), "other_id": str(other_id)}
        answer = await self._get(client, "/internal/acquaintances", asked, _Acquaintance)
        return answer.acquainted

    async def _get(
        self, client: httpx.AsyncClient, path: str, params: Mapping[str, str], shape: type[Shape]
    ) -> Shape:
        try:
            answer = await client.get(
                path,
                params=params,
                headers={"Authorization": f"Bearer {self._credential()}"},
                auth=None,  # instead of what the client would fetch
            )
        except httpx.HTTPError as error:
            log.debug("peer_unreachable", url=str(client.base_url), error=repr(error))
            raise Unavailable(_AWAY) from error
        url = str(answer.url.copy_with(query=None))  # ids of people are not for logs
        if not answer.is_success:
            # Of an outage the peer tells itself, once.
            away = answer.status_code == httpx.codes.SERVICE_UNAVAILABLE
            tell = log.debug if away else log.warning
            tell("peer_refused", url=url, status=answer.status_code)
            raise Unavailable(_AWAY)
        try:
            return msgspec.json.decode(answer.content, type=shape)
        except msgspec.DecodeError as error:
            log.warning("peer_response_invalid", url=url, error=str(error))
            raise Unavailable(_AWAY) from error
