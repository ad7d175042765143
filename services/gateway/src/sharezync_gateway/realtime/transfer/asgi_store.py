"""Storage in our own process: its application is called directly."""

from typing import Any, Final
from uuid import UUID

from starlette.types import ASGIApp, Message, Scope

from sharezync_gateway.realtime.transfer.chunk_store import StoreAway, StoredChunk
from sharezync_gateway.realtime.transfer.chunks import Bytes
from sharezync_gateway.realtime.transfer.store_answers import chunk_of, chunk_path, stored_of
from sharezync_shared.calls.client import Credentials
from sharezync_shared.contracts.storage import DIGEST_HEADER, ChunkStored
from sharezync_shared.tokens.credentials import CredentialsUnavailable

_ASGI: Final = {"version": "3.0", "spec_version": "2.3"}


class AsgiChunkStore:
    """Storage as the application `app`: no socket, and the payload is handed over uncopied.

    The application's lifespan is run by whoever composes the process; `state` is what that lifespan
    gave, if anything.
    """

    def __init__(
        self, app: ASGIApp, credentials: Credentials, *, state: dict[str, Any] | None = None
    ) -> None:
        self._app = app
        self._credentials = credentials
        self._state = state

    async def start(self) -> None:
        """Nothing to do: the application is here."""

    async def aclose(self) -> None:
        """Nothing to do."""

    async def put_chunk(
        self, upload_id: UUID, index: int, sha256: bytes, payload: Bytes
    ) -> ChunkStored:
        """Store one chunk; see `ChunkStore.put_chunk`."""
        headers = [
            (DIGEST_HEADER.encode(), sha256.hex().encode()),
            (b"content-type", b"application/octet-stream"),
            (b"content-length", b"%d" % len(payload)),
        ]
        status, _, body = await self._call("PUT", chunk_path(upload_id, index), headers, payload)
        return stored_of(status, body)

    async def get_chunk(self, upload_id: UUID, index: int) -> StoredChunk:
        """Return one chunk; see `ChunkStore.get_chunk`."""
        status, headers, body = await self._call("GET", chunk_path(upload_id, index), [], b"")
        return chunk_of(status, headers, body)

    async def _call(
        self, method: str, path: str, headers: list[tuple[bytes, bytes]], data: Bytes
    ) -> tuple[int, dict[str, str], bytes]:
        try:
            token = await self._credentials.token()
            answer = await self._once(method, path, headers, data, token)
            if answer[0] == 401:
                token = await self._credentials.token_instead_of(token)
                answer = await self._once(method, path, headers, data, token)
        except (CredentialsUnavailable, OSError) as error:
            raise StoreAway(repr(error)) from error
        return answer

    async def _once(
        self, method: str, path: str, headers: list[tuple[bytes, bytes]], data: Bytes, token: str
    ) -> tuple[int, dict[str, str], bytes]:
        call = _Call(data)
        scope = self._scope(
            method, path, [*headers, (b"authorization", f"Bearer {token}".encode())]
        )
        try:
            await self._app(scope, call.receive, call.send)
        except StoreAway:
            raise
        except Exception as error:
            raise StoreAway(repr(error)) from error
        if not call.complete:
            raise StoreAway("the answer broke off")
        return call.status, call.headers, call.body

    def _scope(self, method: str, path: str, headers: list[tuple[bytes, bytes]]) -> Scope:
        scope: Scope = {
            "type": "http",
            "asgi": _ASGI,
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "root_path": "",
            "headers": [(b"host", b"storage"), *headers],
            "client": None,
            "server": None,
            "extensions": {},
        }
        if self._state is not None:
            scope["state"] = dict(self._state)
        return scope


class _Call:
    """One request to the application, and its answer."""

    def __init__(self, data: Bytes) -> None:
        self._data: Bytes | None = data
        self._parts: list[bytes] = []
        self.status = 0
        self.headers: dict[str, str] = {}
        self.complete = False

    @property
    def body(self) -> bytes:
        return self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)

    async def receive(self) -> Message:
        data, self._data = self._data, None
        if data is None:
            return {"type": "http.disconnect"}
        # A memoryview where ASGI says bytes: storage hashes and writes any buffer, and a copy of
        # each chunk would be the dearest thing here.
        return {"type": "http.request", "body": data, "more_body": False}

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {
                name.decode("latin-1").lower(): value.decode("latin-1")
                for name, value in message.get("headers", ())
            }
        elif message["type"] == "http.response.body":
            if message.get("body"):
                self._parts.append(message["body"])
            self.complete = not message.get("more_body", False)
