"""What stands at `/`: what runs here, and where to go from here."""

from html import escape
from typing import Final

import msgspec
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

_PLACES: Final = (
    ("documentation", "/docs", "Every route, to read and to try"),
    ("reference", "/redoc", "The same to read at length"),
    ("openapi", "/openapi.json", "The same for programs (OpenAPI)"),
    ("asyncapi", "/asyncapi.json", "Sockets and events, for programs (AsyncAPI)"),
    ("token", "/token", "Log in: POST a form with username and password"),
    ("realtime", "/ws/{client_id}", "The WebSocket of a device"),
    ("health", "/health", "Liveness"),
    ("ready", "/ready", "Readiness, and what is degraded"),
)
_FIELDS: Final = {
    "x-content-type-options": "nosniff",
    "cache-control": "no-cache",
    "vary": "accept",
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
}
_STYLE: Final = (
    ":root{color-scheme:light dark;font:1rem/1.6 system-ui,sans-serif}"
    "body{max-width:42rem;margin:4rem auto;padding:0 1.5rem}"
    "h1{font-weight:600;margin-bottom:0}table{border-collapse:collapse;width:100%}"
    "td{padding:.5rem 1rem .5rem 0;border-top:1px solid #8884;vertical-align:top}"
    "code{font-size:.95em}small{opacity:.7}"
)


class Index:
    """Answers `GET /`: HTML to who prefers it to JSON, as browsers do."""

    def __init__(self, version: str) -> None:
        places = {name: path for name, path, _ in _PLACES}
        about = {"name": "ShareZync", "version": version, **places}
        self._json = Response(msgspec.json.encode(about), 200, _FIELDS, "application/json")
        self._html = Response(_page(version), 200, _FIELDS, "text/html")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        accepted = b",".join(value for name, value in scope["headers"] if name == b"accept")
        answer = self._html if b"text/html" in accepted.lower() else self._json
        await answer(scope, receive, send)


def _page(version: str) -> str:
    rows = "".join(
        f"<tr><td>{_place(path)}</td><td>{escape(about)}</td></tr>" for _, path, about in _PLACES
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>ShareZync</title>'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f'<link rel="icon" href="data:,"><style>{_STYLE}</style></head><body><main>'
        f"<h1>ShareZync</h1><p>Chat and file transfer in one backend. "
        f"<small>Version {escape(version)}</small></p>"
        f"<table><tbody>{rows}</tbody></table>"
        "<p>The gateway is running. The command <code>sharezync</code> talks to it from a "
        "terminal: <code>sharezync --help</code>.</p></main></body></html>"
    )


def _place(path: str) -> str:
    code = f"<code>{escape(path)}</code>"
    return code if path in {"/token", "/ws/{client_id}"} else f'<a href="{escape(path)}">{code}</a>'
