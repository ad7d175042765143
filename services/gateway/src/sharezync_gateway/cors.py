"""Which browsers' pages may call us: those of FRONTEND_ORIGIN."""

from collections.abc import Sequence
from typing import Final

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

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
