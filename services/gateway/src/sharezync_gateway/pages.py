"""What the gateway answers itself: probes, documents, and the pages that show them."""

import asyncio
from importlib.resources import files
from typing import Final

import msgspec
from fastapi.openapi.docs import get_redoc_html, get_swagger_ui_html
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp

from sharezync_gateway.asyncapi import AsyncApi
from sharezync_gateway.gateway_app import Page
from sharezync_gateway.index_page import Index
from sharezync_gateway.openapi.catalogue import Catalogue
from sharezync_shared.health import Health
from sharezync_shared.problems import NotFound

_ASSETS: Final = "/docs/assets"
_ASSET_TYPES: Final = {
    "swagger-ui-bundle.js": "text/javascript",
    "swagger-ui.css": "text/css",
    "redoc.standalone.js": "text/javascript",
}
_NO_ICON: Final = "data:,"
_FIELDS: Final = {"x-content-type-options": "nosniff", "cache-control": "no-cache"}
_PAGE_FIELDS: Final = {
    **_FIELDS,
    # What the pages do stays with us: nothing is fetched from, or sent to, anywhere else.
    "content-security-policy": "default-src 'none'; script-src 'self' 'unsafe-inline'; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src data:; connect-src 'self'; "
    "worker-src blob:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
}


class Pages:
    """The gateway's own routes, by template."""

    def __init__(
        self,
        *,
        health: Health,
        catalogue: Catalogue,
        asyncapi: AsyncApi,
        version: str,
    ) -> None:
        self._health = health
        self._catalogue = catalogue
        self._asyncapi = asyncapi
        self._index = Index(version)
        self._assets: dict[str, bytes] = {}
        self._loading = asyncio.Lock()

    def by_route(self) -> dict[str, Page]:
        """Return the page for each of the gateway's rows in the route table."""
        return {
            "/": self.index,
            "/health": self.health,
            "/ready": self.ready,
            "/stats": _moved_to("/v1/transfers/stats"),
            "/devices/online": _moved_to("/v1/devices"),
            "/openapi.json": self.openapi,
            "/openapi/{document}": self.openapi_of,
            "/asyncapi.json": self.asyncapi,
            "/docs": self.docs,
            "/docs/{service}": self.docs_of,
            "/docs/assets/{file}": self.asset,
            "/redoc": self.redoc,
        }

    async def index(self, _: str) -> ASGIApp:
        """Say what runs here and where to go: to people as a page, to programs as JSON."""
        return self._index

    async def health(self, _: str) -> Response:
        """Answer 200 while the process lives."""
        return _json(b'{"status":"alive"}')

    async def ready(self, _: str) -> Response:
        """Answer 200 where this replica should get requests, else 503, with what is degraded."""
        readiness = await self._health.readiness()
        return _json(msgspec.json.encode(readiness), status=200 if readiness.ready else 503)

    async def openapi(self, _: str) -> Response:
        """Answer with the merged document."""
        return _json(await self._catalogue.merged())

    async def openapi_of(self, name: str) -> Response:
        """Answer with the document of one service, `chat.json`. Raises NotFound, Unavailable."""
        service, dot, kind = name.partition(".")
        if (dot, kind) != (".", "json"):
            raise NotFound("The path must end with <service>.json")
        return _json(await self._catalogue.document_of(service))

    async def asyncapi(self, _: str) -> Response:
        """Answer with the document of sockets and facts."""
        return _json(await self._asyncapi.document())

    async def docs(self, _: str) -> Response:
        """Show the merged document with Swagger UI."""
        return _swagger("ShareZync", "/openapi.json")

    async def docs_of(self, service: str) -> Response:
        """Show one service's document with Swagger UI. Raises NotFound."""
        if service not in self._catalogue.services:
            raise NotFound(f"The service {service!r} doesn't exist")
        return _swagger(f"ShareZync {service}", f"/openapi/{service}.json")

    async def redoc(self, _: str) -> Response:
        """Show the merged document with ReDoc."""
        page = get_redoc_html(
            openapi_url="/openapi.json",
            title="ShareZync",
            redoc_js_url=f"{_ASSETS}/redoc.standalone.js",
            redoc_favicon_url=_NO_ICON,
            with_google_fonts=False,
        )
        page.headers.update(_PAGE_FIELDS)
        return page

    async def asset(self, name: str) -> Response:
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
        fields = {**_FIELDS, "cache-control": "public, max-age=86400"}
        return Response(self._assets[name], headers=fields, media_type=_ASSET_TYPES[name])


def _moved_to(path: str) -> Page:
    async def page(_: str) -> Response:
        return RedirectResponse(path, 308)

    return page


def _json(body: bytes, status: int = 200) -> Response:
    return Response(body, status, _FIELDS, "application/json")


def _swagger(title: str, document_url: str) -> Response:
    page = get_swagger_ui_html(
        openapi_url=document_url,
        title=title,
        swagger_js_url=f"{_ASSETS}/swagger-ui-bundle.js",
        swagger_css_url=f"{_ASSETS}/swagger-ui.css",
        swagger_favicon_url=_NO_ICON,
    )
    page.headers.update(_PAGE_FIELDS)
    return page
