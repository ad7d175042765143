"""What the gateway answers itself: probes, documents, and the pages that show them."""

from collections.abc import Mapping
from typing import Final

import msgspec
from fastapi.openapi.docs import get_redoc_html, get_swagger_ui_html
from starlette.types import Send

from sharezync_gateway.door import Page
from sharezync_gateway.openapi.catalogue import Catalogue
from sharezync_shared.asgi.app import ReadyCheck, run_checks
from sharezync_shared.problems import NotFound

_SWAGGER: Final = "swagger-ui-dist@5"
_REDOC: Final = "redoc@2/bundles/redoc.standalone.js"
_NO_ICON: Final = "data:,"


class Pages:
    """The gateway's own routes, by template."""

    def __init__(
        self,
        *,
        checks: Mapping[str, ReadyCheck],
        catalogue: Catalogue,
        assets_url: str,
    ) -> None:
        self._checks = checks
        self._catalogue = catalogue
        self._assets_url = assets_url.rstrip("/")
        # Scripts of the two pages come from the mirror; what they do stays with us.
        origin = "/".join(self._assets_url.split("/")[:3])
        self._policy = (
            f"default-src 'none'; script-src {origin} 'unsafe-inline'; "
            f"style-src {origin} 'unsafe-inline'; img-src 'self' data: {origin}; "
            "font-src data:; connect-src 'self'; worker-src blob:; "
            "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
        ).encode()

    def by_route(self) -> dict[str, Page]:
        """Return the page for each of the gateway's rows in the route table."""
        return {
            "/health": self.health,
            "/ready": self.ready,
            "/openapi.json": self.openapi,
            "/openapi/{document}": self.openapi_of,
            "/docs": self.docs,
            "/docs/{service}": self.docs_of,
            "/redoc": self.redoc,
        }

    async def health(self, _: str, send: Send) -> None:
        """Answer 200 while the process lives."""
        await _send(send, b'{"status":"alive"}', b"application/json")

    async def ready(self, _: str, send: Send) -> None:
        """Answer 200 when every check holds, else 503, with each verdict."""
        verdicts = await run_checks(self._checks)
        ready = all(verdicts.values())
        body = msgspec.json.encode({"ready": ready, "checks": verdicts})
        await _send(send, body, b"application/json", status=200 if ready else 503)

    async def openapi(self, _: str, send: Send) -> None:
        """Answer with the merged document."""
        await _send(send, await self._catalogue.merged(), b"application/json")

    async def openapi_of(self, name: str, send: Send) -> None:
        """Answer with the document of one service, `chat.json`. Raises NotFound, Unavailable."""
        service, dot, kind = name.partition(".")
        if (dot, kind) != (".", "json"):
            raise NotFound("Documents are called <service>.json")
        await _send(send, await self._catalogue.of(service), b"application/json")

    async def docs(self, _: str, send: Send) -> None:
        """Show the merged document with Swagger UI."""
        await self._swagger(send, "ShareZync", "/openapi.json")

    async def docs_of(self, service: str, send: Send) -> None:
        """Show one service's document with Swagger UI. Raises NotFound."""
        if service not in self._catalogue.services:
            raise NotFound(f"There is no service {service!r}")
        await self._swagger(send, f"ShareZync {service}", f"/openapi/{service}.json")

    async def redoc(self, _: str, send: Send) -> None:
        """Show the merged document with ReDoc."""
        page = get_redoc_html(
            openapi_url="/openapi.json",
            title="ShareZync",
            redoc_js_url=f"{self._assets_url}/{_REDOC}",
            redoc_favicon_url=_NO_ICON,
            with_google_fonts=False,
        )
        await self._html(send, bytes(page.body))

    async def _swagger(self, send: Send, title: str, document_url: str) -> None:
        page = get_swagger_ui_html(
            openapi_url=document_url,
            title=title,
            swagger_js_url=f"{self._assets_url}/{_SWAGGER}/swagger-ui-bundle.js",
            swagger_css_url=f"{self._assets_url}/{_SWAGGER}/swagger-ui.css",
            swagger_favicon_url=_NO_ICON,
        )
        await self._html(send, bytes(page.body))

    async def _html(self, send: Send, page: bytes) -> None:
        policy = (b"content-security-policy", self._policy)
        await _send(send, page, b"text/html; charset=utf-8", extra=policy)


async def _send(
    send: Send,
    body: bytes,
    content_type: bytes,
    *,
    status: int = 200,
    extra: tuple[bytes, bytes] | None = None,
) -> None:
    headers = [
        (b"content-type", content_type),
        (b"content-length", b"%d" % len(body)),
        (b"x-content-type-options", b"nosniff"),
        (b"cache-control", b"no-cache"),
        *([extra] if extra is not None else []),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
