"""Around every answer under `/v1/uploads`: what tus asks of all of them, refusals included.

Pure ASGI. As the outermost layer it also reaches what the framework answers by itself.
"""

from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sharezync_shared.problems import NotAllowed, send_problem
from sharezync_storage.api.tus_headers import PATH, VERSION

_METHODS: Final = frozenset({"OPTIONS", "HEAD", "GET", "POST", "PUT", "PATCH", "DELETE"})
"""A closed set: metrics count by method."""


class TusLayer:
    """Says `Tus-Resumable` in each answer, and keeps caches away.

    Where there is `X-HTTP-Method-Override`, the method that it names counts, and the request's own
    is ignored (tus 1.0.0).
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not _is_ours(scope["path"]):
            await self.app(scope, receive, send)
            return

        async def send_as_tus(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["Tus-Resumable"] = VERSION
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        method = Headers(scope=scope).get("x-http-method-override", "").strip().upper()
        if method and method not in _METHODS:
            problem = NotAllowed(f"{method[:20]!r} is no method that is known here")
            await send_problem(send_as_tus, problem)
            return
        # A copy: the server looks into its own scope to see how it must frame the answer.
        await self.app({**scope, "method": method} if method else scope, receive, send_as_tus)


def _is_ours(path: str) -> bool:
    return path == PATH or path.startswith(f"{PATH}/")
