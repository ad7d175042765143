"""What is around all answers: CORS, and what tus requires of those under `/v1/uploads`."""

from collections.abc import Sequence
from typing import Final

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_TUS_PATH: Final = b"/v1/uploads"
_TUS_FIELDS: Final = ((b"tus-resumable", b"1.0.0"), (b"cache-control", b"no-store"))
_METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_PREFLIGHT_SECONDS: Final = 600

EXPOSED_HEADERS: Final = (
    "Location", "Upload-Offset", "Upload-Length", "Upload-Metadata", "Upload-Defer-Length",
    "Upload-Concat", "Upload-Expires", "Tus-Resumable", "Tus-Version", "Tus-Extension",
    "Tus-Max-Size", "Tus-Checksum-Algorithm", "ETag", "Content-Range", "Content-Disposition",
    "Accept-Ranges", "Download-Claim", "Retry-After", "RateLimit", "RateLimit-Policy",
    "WWW-Authenticate", "X-Request-Id", "Stream-Position",
)  # fmt: skip
"""What scripts may read beside the few that they always may; tus clients need most of these."""


def with_cors(app: ASGIApp, origins: Sequence[str]) -> ASGIApp:
    """Return `app` with CORS for `origins`; without any, `app` itself.

    Cookies are not allowed: tokens travel in a header, and nothing else identifies anybody.
    Requests from other origins are answered, without the fields that would let a page read them.
    """
    if not origins:
        return app
    return CORSMiddleware(
        app,
        allow_origins=list(origins),
        allow_methods=_METHODS,
        allow_headers=["*"],
        expose_headers=EXPOSED_HEADERS,
        allow_credentials=False,
        max_age=_PREFLIGHT_SECONDS,
    )


def with_public_url(app: ASGIApp, public_url: str | None) -> ASGIApp:
    """Return `app` whose `Location`s lead to `public_url`; without one, `app` itself."""
    if public_url is None:
        return app
    base = public_url.rstrip("/").encode("ascii")

    async def around(scope: Scope, receive: Receive, send: Send) -> None:
        async def send_absolute(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = [
                    (name, base + value)
                    if name.lower() == b"location" and value.startswith(b"/")
                    else (name, value)
                    for name, value in message.get("headers", ())
                ]
                message = {**message, "headers": headers}
            await send(message)

        await app(scope, receive, send_absolute)

    return around


def with_tus(app: ASGIApp) -> ASGIApp:
    """Return `app` whose answers on paths of tus have its header fields, our own among them.

    Storage sends them by itself; but to a client of tus an answer without `Tus-Resumable` is none
    (tus 1.0.0), also where a request is refused here or fails behind.
    """

    async def around(scope: Scope, receive: Receive, send: Send) -> None:
        if not scope.get("raw_path", b"").startswith(_TUS_PATH):
            await app(scope, receive, send)
            return

        async def send_as_tus(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = list(message.get("headers", ()))
                said = {name.lower() for name, _ in headers}
                headers += [field for field in _TUS_FIELDS if field[0] not in said]
                message = {**message, "headers": headers}
            await send(message)

        await app(scope, receive, send_as_tus)

    return around
