"""The services' own documents: fetched through the upstreams, kept for a while."""

import asyncio
import time
from collections.abc import Mapping
from typing import Any, Final

import msgspec
import structlog
from starlette.types import Message

from sharezync_gateway.openapi.merge import Document, merge, unrouted
from sharezync_gateway.proxy.body import RequestBody
from sharezync_gateway.proxy.upstream import ClientOrigin, Request, Upstream
from sharezync_gateway.routing import RouteTable
from sharezync_shared.problems import NotFound, Problem, Unavailable

log = structlog.get_logger()

_PATH: Final = b"/openapi.json"
_FETCH_SECONDS: Final = 10  # the first time, a service builds its document
_MAX_BYTES: Final = 8 * 1024 * 1024
_OK: Final = 200
_RETRY_SECONDS: Final = 5.0
_OURSELVES: Final = ClientOrigin(address="127.0.0.1", scheme="http", host=b"gateway")


class _Shape(msgspec.Struct):
    """What merging relies on."""

    openapi: str
    info: dict[str, Any]
    paths: dict[str, dict[str, Any]]
    components: dict[str, dict[str, Any]] = {}
    tags: list[dict[str, Any]] = []


_SHAPE: Final = msgspec.json.Decoder(_Shape)


class Catalogue:
    """Gives out the merged document and those of the services.

    Each service's document is fetched when asked for and older than `keep_seconds`; while a service
    is away its last one is used. Concurrent callers share one fetch.
    """

    def __init__(
        self,
        upstreams: Mapping[str, Upstream],
        routes: RouteTable,
        *,
        own: Document,
        version: str,
        keep_seconds: float,
    ) -> None:
        self._upstreams = upstreams
        self._routes = routes
        self._own = own
        self._version = version
        self._keep_seconds = keep_seconds
        self._documents: dict[str, Document] = {}
        self._fetched_at: dict[str, float] = {}
        self._lock = asyncio.Lock()
        self._merged: bytes = b""
        self._merged_edition = -1
        self._edition = 0
        """Another one whenever a document has changed."""

    @property
    def services(self) -> frozenset[str]:
        """The services that there are documents of, or would be."""
        return frozenset(self._upstreams)

    async def merged(self) -> bytes:
        """Return one document of all services as JSON.

        Services that were never reached are missing in it, and named in `x-unavailable`.
        """
        async with self._lock:
            await asyncio.gather(*(self._freshen(name) for name in self._upstreams))
            if self._merged_edition != self._edition:
                self._merged = await asyncio.to_thread(self._merge)
                self._merged_edition = self._edition
            return self._merged

    async def documents(self) -> tuple[int, Mapping[str, Document]]:
        """Return the services' own documents, and a number that is another when they are others."""
        async with self._lock:
            await asyncio.gather(*(self._freshen(name) for name in self._upstreams))
            return self._edition, dict(self._documents)

    async def document_of(self, service: str) -> bytes:
        """Return the document of one service, of what can be reached, as JSON.

        Raises NotFound for a service there isn't, and Unavailable for one that can't be reached.
        """
        if service not in self._upstreams:
            raise NotFound(f"The service {service!r} doesn't exist")
        async with self._lock:
            await self._freshen(service)
            document = self._documents.get(service)
        if document is None:
            raise Unavailable("The service is temporarily unavailable")
        info = {**document.get("info", {}), "version": self._version}
        return msgspec.json.encode(merge({service: document}, self._routes, info=info))

    @property
    def missing(self) -> list[str]:
        """The services whose documents were never had."""
        return [name for name in self._upstreams if name not in self._documents]

    def _merge(self) -> bytes:
        info: Document = {
            "title": "ShareZync",
            "version": self._version,
            "summary": "Chat and file transfer",
        }
        if self.missing:
            info["x-unavailable"] = self.missing
        documents = {"gateway": self._own, **self._documents}
        return msgspec.json.encode(merge(documents, self._routes, info=info))

    async def _freshen(self, service: str) -> None:
        """Fetch one document if it is time to."""
        now = time.monotonic()
        wait = self._keep_seconds if service in self._documents else _RETRY_SECONDS
        fetched_at = self._fetched_at.get(service)
        if fetched_at is not None and now < fetched_at + wait:
            return
        self._fetched_at[service] = now
        try:
            document = await fetch_document(self._upstreams[service])
        except (Problem, msgspec.DecodeError) as error:
            log.warning("openapi_not_fetched", upstream=service, error=repr(error))
            return
        if document == self._documents.get(service):
            return
        self._documents[service] = document
        self._edition += 1
        if missing := unrouted(document, service, self._routes):
            log.warning("operations_not_routed", upstream=service, operations=missing)


async def fetch_document(upstream: Upstream) -> Document:
    """Return a service's own document. Raises a Problem, or msgspec.DecodeError (it isn't one)."""
    status = 0
    received = bytearray()

    async def collect(message: Message) -> None:
        nonlocal status
        if message["type"] == "http.response.start":
            status = message["status"]
        else:
            received.extend(message.get("body", b""))
            if len(received) > _MAX_BYTES:
                raise Unavailable("The service's document is too large")

    request = Request(
        method="GET",
        path=_PATH,
        query=b"",
        headers=[(b"accept", b"application/json")],
        body=RequestBody.none(),
        patience_seconds=_FETCH_SECONDS,
        origin=_OURSELVES,
    )
    await upstream.forward(request, collect)
    if status != _OK:
        raise Unavailable(f"The service answered {status}")
    _SHAPE.decode(received)
    document: Document = msgspec.json.decode(received)
    return document
