"""The service in our own process: its application is called directly."""

from typing import Any, Final
from urllib.parse import unquote

from starlette.types import ASGIApp, Message, Scope, Send

from sharezync_gateway.errors import BrokenAnswer, ClientGone, TookTooLong
from sharezync_gateway.proxy.headers import Headers
from sharezync_gateway.proxy.service_timeout import ServiceTimeout
from sharezync_gateway.proxy.upstream import Request
from sharezync_shared.server import ZERO_COPY, ZERO_COPY_OFFERED

_BODY: Final = frozenset({"http.response.body", ZERO_COPY})
_ASGI: Final = {"version": "3.0", "spec_version": "2.3"}


def _report_served(request: Request, message: Message) -> None:
    """Where all of the answer is here now, a slow reader shall hold no place."""
    if message["type"] == "http.response.body" and not message.get("more_body"):
        request.on_served()


def http_scope(method: str, path: bytes, headers: Headers, **more: Any) -> Scope:  # noqa: ANN401 - parts of the scope
    """Return the scope of a request of ours to an application; `path` is escaped."""
    return {
        "type": "http",
        "asgi": _ASGI,
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": unquote(path.decode("ascii")),
        "raw_path": path,
        "query_string": b"",
        "root_path": "",
        "headers": headers,
        "client": None,
        "server": None,
        "extensions": {},
        **more,
    }


class AsgiUpstream:
    """Calls `app` with a scope of its own making: no socket, no copy, no task.

    The application's lifespan is run by whoever composes the process.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def start(self) -> None:
        """Nothing to do: the application is here."""

    async def aclose(self) -> None:
        """Nothing to do."""

    async def forward(self, request: Request, send: Send) -> None:
        """Carry one request; see `Upstream.forward`."""
        body = request.body
        patience = ServiceTimeout(request.patience_seconds)
        started = complete = left = False

        async def receive() -> Message:
            if body.complete:
                return await body.receive()  # perhaps in a task of the application's own
            patience.pause()
            try:
                return await body.receive()
            finally:
                patience.resume()

        async def answer(message: Message) -> None:
            nonlocal started, complete, left
            if body.gone or body.failure is not None:
                return  # an answer to half a request is of no use to anybody
            started = started or message["type"] == "http.response.start"
            complete = message["type"] in _BODY and not message.get("more_body")
            _report_served(request, message)
            patience.pause()
            try:
                await send(message)
            except ClientGone:
                left = True  # the application may make of it what it likes
                raise
            finally:
                patience.resume()

        with patience:
            try:
                await self._app(_scope(request), receive, answer)
            except Exception as error:
                if left or body.gone or body.failure is not None:
                    return
                raise BrokenAnswer("The service failed") from error
        if patience.expired:
            raise TookTooLong(f"No word for {request.patience_seconds:g} s")
        if not (complete or left or body.gone or body.failure is not None):
            raise BrokenAnswer("The answer broke off" if started else "There was no answer")


def _scope(request: Request) -> Scope:
    length = request.body.length
    framing = (b"transfer-encoding", b"chunked") if length is None else (
        b"content-length", b"%d" % length
    )  # fmt: skip
    return http_scope(
        request.method,
        request.path,
        [(b"host", request.origin.host), *([framing] if length != 0 else ()), *request.headers],
        scheme=request.origin.scheme,
        query_string=request.query,
        client=(request.origin.address, 0),
        extensions=ZERO_COPY_OFFERED if request.takes_files else {},
    )
