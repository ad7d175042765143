"""Storage in our own process: its application is called directly."""

from collections.abc import Mapping
from typing import Any, Final

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message

from sharezync_gateway.transfers.core.chunk_store import ChunkStore, StoreAway
from sharezync_gateway.transfers.core.chunks import Bytes
from sharezync_shared.calls.client import Credentials, Reply

_ASGI: Final = {"version": "3.0", "spec_version": "2.3"}


class AsgiChunkStore(ChunkStore):
    """Storage as the application `app`: no socket, and the payload is handed over uncopied.

    The application's lifespan is run by whoever composes the process.
    """

    def __init__(self, app: ASGIApp, credentials: Credentials) -> None:
        super().__init__(credentials)
        self._app = app

    async def _exchange(
        self, method: str, path: str, headers: Mapping[str, str], data: Bytes
    ) -> Reply:
        # A memoryview where ASGI says bytes: storage hashes and writes any buffer, and a copy of
        # each chunk would be the dearest thing here.
        messages: list[Message] = [{"type": "http.request", "body": data, "more_body": False}]
        start: Message | None = None
        parts: list[bytes] = []
        complete = False

        async def receive() -> Message:
            return messages.pop() if messages else {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            nonlocal start, complete
            if message["type"] == "http.response.start":
                start = message
            elif message["type"] == "http.response.body":
                if message.get("body"):
                    parts.append(message["body"])
                complete = not message.get("more_body", False)

        scope: dict[str, Any] = {
            "type": "http",
            "asgi": _ASGI,
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "root_path": "",
            "headers": Headers({"Host": "storage", **headers}).raw,
            "client": None,
            "server": None,
            "extensions": {},
        }
        try:
            await self._app(scope, receive, send)
        except Exception as error:
            raise StoreAway(repr(error)) from error
        if start is None or not complete:
            raise StoreAway("the answer broke off")
        body = parts[0] if len(parts) == 1 else b"".join(parts)
        return Reply(start["status"], Headers(raw=list(start.get("headers", ()))), body)
