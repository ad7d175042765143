"""Storage in our own process: its application is called directly."""

from collections.abc import Mapping

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message

from sharezync_gateway.proxy.asgi import http_scope
from sharezync_gateway.transfers.core.chunks import Bytes
from sharezync_shared.calls.client import Reply, TransportFailed


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
