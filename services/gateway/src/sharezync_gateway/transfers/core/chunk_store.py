"""Where chunks are kept: at storage, over HTTP or in process."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from uuid import UUID

import msgspec

from sharezync_gateway.transfers.core.chunks import Bytes
from sharezync_shared.calls.client import Credentials, Reply
from sharezync_shared.contracts.storage import CHUNK_PATH, DIGEST_HEADER, ChunkStored
from sharezync_shared.outage_log import OutageLog
from sharezync_shared.tokens.credentials import CredentialsUnavailable

_RETRYABLE: Final = frozenset({401, 408, 429})


@dataclass(frozen=True, slots=True)
class StoredChunk:
    """A chunk as it was stored."""

    payload: bytes
    sha256: bytes


class ChunkRefused(Exception):
    """The store will not take this chunk, however often it comes. `code` is a problem slug.

    `status` is what the store gave with it over HTTP.
    """

    def __init__(self, code: str, detail: str, status: int = 409) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail
        self.status = status


class ChunkAbsent(Exception):
    """The store has no such chunk (yet)."""


class StoreAway(Exception):
    """The store did not answer, or not with what was promised: try again."""


class ChunkStore:
    """Puts and gets chunks of uploads; a subclass knows the way to storage.

    One test suite holds every adapter to this.
    """

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials
        self._log = OutageLog("chunks_not_moved", upstream="storage")

    async def start(self) -> None:
        """Make ready. The store need not be there yet."""

    async def aclose(self) -> None:
        """Give back what `start` took. Idempotent."""

    async def put_chunk(
        self, upload_id: UUID, index: int, sha256: bytes, payload: Bytes
    ) -> ChunkStored:
        """Store one chunk; it is durable when this returns, and can be read.

        Any number may be under way. The same chunk may be put again. Raises ChunkRefused (with
        `chunk-corrupt` where the digest is another one, `chunk-conflict`, `chunk-length`,
        `chunk-outside`, `upload-closed`, `not-found`, or what else the store says) and StoreAway:
        then it may be stored or not.
        """
        headers = {
            DIGEST_HEADER: sha256.hex(),
            "Content-Type": "application/octet-stream",
            "Content-Length": str(len(payload)),
        }
        answer = await self._call("PUT", _path(upload_id, index), headers, payload)
        if answer.status == 200:
            try:
                return _stored_decoder.decode(answer.body)
            except msgspec.DecodeError as error:
                raise self._failed(f"no answer to a chunk: {error}") from error
        refusal = _refusal(answer.body)
        # 507 is a refusal too: there will be no more room in a moment.
        final = 400 <= answer.status < 500 and answer.status not in _RETRYABLE
        if final or answer.status == 507:
            raise ChunkRefused(refusal.code, refusal.detail, answer.status)
        raise self._failed(f"a chunk was answered {answer.status} {refusal.code}")

    async def get_chunk(self, upload_id: UUID, index: int) -> StoredChunk:
        """Return one chunk. Raises ChunkAbsent and StoreAway."""
        answer = await self._call("GET", _path(upload_id, index), {}, b"")
        if answer.status == 404:
            raise ChunkAbsent
        if answer.status != 200:
            code = _refusal(answer.body).code
            raise self._failed(f"a chunk was answered {answer.status} {code}")
        try:
            sha256 = bytes.fromhex(answer.headers.get(DIGEST_HEADER, ""))
        except ValueError:
            sha256 = b""
        if len(sha256) != 32:
            raise self._failed("a chunk came without its digest")
        return StoredChunk(answer.body, sha256)

    async def _call(self, method: str, path: str, headers: dict[str, str], data: Bytes) -> Reply:
        try:
            token = await self._credentials.token()
            headers["Authorization"] = f"Bearer {token}"
            answer = await self._exchange(method, path, headers, data)
            if answer.status == 401:  # it ended early: a restart of auth, another key
                token = await self._credentials.token_instead_of(token)
                headers["Authorization"] = f"Bearer {token}"
                answer = await self._exchange(method, path, headers, data)
        except (CredentialsUnavailable, OSError) as error:
            raise StoreAway(repr(error)) from error
        return answer

    async def _exchange(
        self, method: str, path: str, headers: Mapping[str, str], data: Bytes
    ) -> Reply:
        """Make one request. Raises StoreAway where there is no answer."""
        raise NotImplementedError

    def _failed(self, reason: str) -> StoreAway:
        failure = StoreAway(reason)
        self._log.failed(failure)
        return failure


class _Refusal(msgspec.Struct):
    code: str = "invalid"
    detail: str = ""


_stored_decoder = msgspec.json.Decoder(ChunkStored)


def _path(upload_id: UUID, index: int) -> str:
    return CHUNK_PATH.format(upload_id=upload_id, index=index)


def _refusal(body: bytes) -> _Refusal:
    try:
        return msgspec.json.decode(body, type=_Refusal)
    except msgspec.DecodeError:
        return _Refusal()
