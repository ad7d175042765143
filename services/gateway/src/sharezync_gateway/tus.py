"""What tus asks of every answer under `/v1/uploads`, those that we give ourselves among them.

Storage says it by itself; what is refused at the door, or fails behind it, must have it too: to a
client of tus an answer without `Tus-Resumable` is none (tus 1.0.0).
"""

from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

_PATH: Final = b"/v1/uploads"
_FIELDS: Final = ((b"tus-resumable", b"1.0.0"), (b"cache-control", b"no-store"))


def with_tus(app: ASGIApp) -> ASGIApp:
    """Return `app` whose answers on paths of tus have its header fields."""

    async def around(scope: Scope, receive: Receive, send: Send) -> None:
        if not scope.get("raw_path", b"").startswith(_PATH):
            await app(scope, receive, send)
            return

        async def send_as_tus(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = list(message.get("headers", ()))
                said = {name.lower() for name, _ in headers}
                headers += [field for field in _FIELDS if field[0] not in said]
                message = {**message, "headers": headers}
            await send(message)

        await app(scope, receive, send_as_tus)

    return around
