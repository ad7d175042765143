"""Where chunks are kept: at storage, over HTTP or in process."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Protocol
from uuid import UUID

import msgspec
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message

from sharezync_gateway.proxy.asgi import http_scope
from sharezync_gateway.transfers.core.chunks import Bytes
from sharezync_shared.calls.breaker import Breaker
from sharezync_shared.calls.client import Credentials, Reply, TransportFailed, authorized
from sharezync_shared.calls.transports import PlainTransport
from sharezync_shared.contracts.storage import CHUNK_PATH, DIGEST_HEADER, ChunkStored
from sharezync_shared.outage_log import OutageLog
from sharezync_shared.tokens.credentials import CredentialsUnavailable

_RETRYABLE: Final = frozenset({401, 408, 429})
_TIMEOUT_SECONDS: Final = 30
_CONNECTIONS: Final = 128
_READ_BYTES: Final = 1024 * 1024
"""A whole chunk fits: the fewer pieces it comes in, the fewer are put together."""


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


class ChunkTransport(Protocol):
    """The way to storage: `PlainTransport` and `AsgiTransport`; one test suite holds both."""

    async def start(self) -> None:
        """Make ready. Storage need not be there yet."""

    async def aclose(self) -> None:
        """Give back what `start` took. Idempotent."""

    async def send(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str],
        data: Bytes | None,
        timeout_seconds: float,
    ) -> Reply:
        """Make one request. Raises TransportFailed where there is no answer."""
        ...


class ChunkStore:
    """Puts and gets chunks of uploads; `transport` is started and closed with it."""

    def __init__(self, transport: ChunkTransport, credentials: Credentials) -> None:
        self._transport = transport
        self._credentials = credentials
        self._log = OutageLog("chunks_not_moved", upstream="storage")

    async def start(self) -> None:
        await self._transport.start()

    async def aclose(self) -> None:
        await self._transport.aclose()

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
        answer = await self._call("GET", _path(upload_id, index), {})
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

    async def _call(
        self, method: str, path: str, headers: dict[str, str], data: Bytes | None = None
    ) -> Reply:
        async def exchange(token: str) -> Reply:
            headers["Authorization"] = f"Bearer {token}"
            return await self._transport.send(method, path, headers, data, _TIMEOUT_SECONDS)

        try:
            return await authorized(self._credentials, exchange)
        except (CredentialsUnavailable, TransportFailed, OSError) as error:
            raise StoreAway(repr(error)) from error

    def _failed(self, reason: str) -> StoreAway:
        failure = StoreAway(reason)
        self._log.failed(failure)
        return failure


def chunks_over_http(base_url: str, credentials: Credentials, breaker: Breaker) -> ChunkStore:
    """Return the store at a storage in another process, such as `http://storage:8004`."""
    transport = PlainTransport(base_url, breaker, connections=_CONNECTIONS, read_bytes=_READ_BYTES)
    return ChunkStore(transport, credentials)


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


class AsgiTransport:
    """Storage as the application `app`: no socket, and the payload is handed over uncopied.

    The application's lifespan is run by whoever composes the process.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def start(self) -> None:
        """Nothing to do: the application is here."""

    async def aclose(self) -> None:
        """Nothing to do."""

    async def send(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str],
        data: Bytes | None,
        timeout_seconds: float,  # noqa: ARG002 - a call that is part of ours
    ) -> Reply:
        """Make one request; see `ChunkTransport.send`."""
        # A memoryview where ASGI says bytes: storage hashes and writes any buffer, and a copy of
        # each chunk would be the dearest thing here.
        request: Message = {"type": "http.request", "body": data or b"", "more_body": False}
        messages = [request]
        start: Message | None = None
        parts: list[bytes] = []
        complete = False

        async def receive() -> Message:
            return messages.pop() if messages else {"type": "http.disconnect"}

        async def answer(message: Message) -> None:
            nonlocal start, complete
            if message["type"] == "http.response.start":
                start = message
            elif message["type"] == "http.response.body":
                if message.get("body"):
                    parts.append(message["body"])
                complete = not message.get("more_body", False)

        scope = http_scope(method, target.encode(), Headers({"Host": "storage", **headers}).raw)
        try:
            await self._app(scope, receive, answer)
        except Exception as error:
            raise TransportFailed(repr(error)) from error
        if start is None or not complete:
            raise TransportFailed("the answer broke off")
        body = parts[0] if len(parts) == 1 else b"".join(parts)
        return Reply(start["status"], Headers(raw=list(start.get("headers", ()))), body)
