"""What the gateway answers itself: probes, documents, and the pages that show them."""

import asyncio
from collections.abc import Callable, Mapping
from importlib.resources import files
from typing import Final

import msgspec
from fastapi.openapi.docs import get_redoc_html, get_swagger_ui_html
from starlette.types import Send

from sharezync_gateway.asyncapi import AsyncApi
from sharezync_gateway.gateway_app import Page
from sharezync_gateway.openapi.catalogue import Catalogue
from sharezync_shared.asgi.app import ReadyCheck, run_checks
from sharezync_shared.problems import NotFound

_ASSETS: Final = "/docs/assets"
_SCRIPT: Final = b"text/javascript; charset=utf-8"
_ASSET_TYPES: Final = {
    "swagger-ui-bundle.js": _SCRIPT,
    "swagger-ui.css": b"text/css; charset=utf-8",
    "redoc.standalone.js": _SCRIPT,
}
_NO_ICON: Final = "data:,"
# What the pages do stays with us: nothing is fetched from, or sent to, anywhere else.
_POLICY: Final = (
    b"default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
    b"img-src 'self' data:; font-src data:; connect-src 'self'; worker-src blob:; "
    b"base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)


class Pages:
    """The gateway's own routes, by template."""

    def __init__(
        self,
        *,
        checks: Mapping[str, ReadyCheck],
        catalogue: Catalogue,
        asyncapi: AsyncApi,
        services: Callable[[], dict[str, str]],
    ) -> None:
        """`services` says how the breaker of each service stands: to be read, not to be ready."""
        self._checks = checks
        self._catalogue = catalogue
        self._asyncapi = asyncapi
        self._assets: dict[str, bytes] = {}
        self._loading = asyncio.Lock()
        self._services = services

    def by_route(self) -> dict[str, Page]:
        """Return the page for each of the gateway's rows in the route table."""
        return {
            "/health": self.health,
            "/ready": self.ready,
            "/openapi.json": self.openapi,
            "/openapi/{document}": self.openapi_of,
            "/asyncapi.json": self.asyncapi,
            "/docs": self.docs,
            "/docs/{service}": self.docs_of,
            "/docs/assets/{file}": self.asset,
            "/redoc": self.redoc,
        }

    async def health(self, _: str, send: Send) -> None:
        """Answer 200 while the process lives."""
        await _send(send, b'{"status":"alive"}', b"application/json")

    async def ready(self, _: str, send: Send) -> None:
        """Answer 200 when every check holds, else 503, with each verdict.

        What is told of the services decides nothing: without one of them the others are as useful
        as before, and all replicas would leave at once.
        """
        verdicts = await run_checks(self._checks)
        ready = all(verdicts.values())
        readiness = {"ready": ready, "checks": verdicts, "services": self._services()}
        body = msgspec.json.encode(readiness)
        await _send(send, body, b"application/json", status=200 if ready else 503)

    async def openapi(self, _: str, send: Send) -> None:
        """Answer with the merged document."""
        await _send(send, await self._catalogue.merged(), b"application/json")

    async def openapi_of(self, name: str, send: Send) -> None:
        """Answer with the document of one service, `chat.json`. Raises NotFound, Unavailable."""
        service, dot, kind = name.partition(".")
        if (dot, kind) != (".", "json"):
            raise NotFound("The path must end with <service>.json")
        await _send(send, await self._catalogue.document_of(service), b"application/json")

    async def asyncapi(self, _: str, send: Send) -> None:
        """Answer with the document of sockets and facts."""
        await _send(send, await self._asyncapi.document(), b"application/json")

    async def docs(self, _: str, send: Send) -> None:
        """Show the merged document with Swagger UI."""
        await self._swagger(send, "ShareZync", "/openapi.json")

    async def docs_of(self, service: str, send: Send) -> None:
        """Show one service's document with Swagger UI. Raises NotFound."""
        if service not in self._catalogue.services:
            raise NotFound(f"The service {service!r} doesn't exist")
        await self._swagger(send, f"ShareZync {service}", f"/openapi/{service}.json")

    async def redoc(self, _: str, send: Send) -> None:
        """Show the merged document with ReDoc."""
        page = get_redoc_html(
            openapi_url="/openapi.json",
            title="ShareZync",
            redoc_js_url=f"{_ASSETS}/redoc.standalone.js",
            redoc_favicon_url=_NO_ICON,
            with_google_fonts=False,
        )
        await self._html(send, bytes(page.body))

    async def _swagger(self, send: Send, title: str, document_url: str) -> None:
        page = get_swagger_ui_html(
            openapi_url=document_url,
            title=title,
            swagger_js_url=f"{_ASSETS}/swagger-ui-bundle.js",
            swagger_css_url=f"{_ASSETS}/swagger-ui.css",
            swagger_favicon_url=_NO_ICON,
        )
        await self._html(send, bytes(page.body))

    async def asset(self, name: str, send: Send) -> None:
        """Answer with a script or a style of the pages, out of the package that brings them.

        Raises NotFound.
        """
        if name not in _ASSET_TYPES:
            raise NotFound(f"{name!r} doesn't exist")
        async with self._loading:
            if name not in self._assets:
                path = files("fastapi_offline") / "static" / name
                self._assets[name] = await asyncio.to_thread(path.read_bytes)
        # All answers share one: each is a megabyte, and lies here until it is taken.
        body = self._assets[name]
        await _send(send, body, _ASSET_TYPES[name], cache=b"public, max-age=86400")

    async def _html(self, send: Send, page: bytes) -> None:
        policy = (b"content-security-policy", _POLICY)
        await _send(send, page, b"text/html; charset=utf-8", extra=policy)


async def _send(
    send: Send,
    body: bytes,
    content_type: bytes,
    *,
    status: int = 200,
    cache: bytes = b"no-cache",
    extra: tuple[bytes, bytes] | None = None,
) -> None:
    headers = [
        (b"content-type", content_type),
        (b"content-length", b"%d" % len(body)),
        (b"x-content-type-options", b"nosniff"),
        (b"cache-control", cache),
        *([extra] if extra is not None else []),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
