"""In front of the whole application: requests for chunks that are well formed go straight through.

The framework's way from a request to a function, past its own layers and the routes that are tried,
costs more than all else that the event loop does for a chunk. What isn't well formed goes it all
the same, and is refused there.
"""

import re
from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

from fastapi import Request
from fastapi.routing import APIRoute
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.types import ASGIApp, ExceptionHandler, Receive, Scope, Send

from sharezync_shared.asgi.middleware import HttpMetrics, RequestLayer
from sharezync_shared.contracts.storage import CHUNK_PATH, DIGEST_HEADER
from sharezync_shared.tokens.dependencies import bearer_token
from sharezync_storage.api.internal import MOST_INDEX, chunk_router, download_chunk, upload_chunk
from sharezync_storage.models import UploadId

_PATH: Final = re.compile(CHUNK_PATH.format(upload_id="([0-9a-fA-F-]{36})", index="([0-9]{1,10})"))
_DIGEST: Final = re.compile(r"[0-9a-fA-F]{64}")
_ROUTES: Final = {
    method: route
    for route in chunk_router.routes
    if isinstance(route, APIRoute)
    for method in route.methods or ()
}


class ChunkLayer:
    """Answers as the routes of `chunk_router` do, with the same id, measure and problems.

    `handlers` are the exception handlers of the application.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        service: str,
        metrics: HttpMetrics,
        handlers: Mapping[Any, ExceptionHandler],
    ) -> None:
        self.app = app
        self._direct = RequestLayer(
            ExceptionMiddleware(_serve, handlers),
            service=service,
            metrics=metrics,
            max_body_bytes=None,  # a chunk has exactly the length of its place
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        well_formed = scope["type"] == "http" and _read(scope)
        await (self._direct if well_formed else self.app)(scope, receive, send)


def _read(scope: Scope) -> bool:
    """Note in the scope which chunk is meant, as routing would. False if that isn't plain."""
    route, match = _ROUTES.get(scope["method"]), _PATH.fullmatch(scope["path"])
    if route is None or match is None or int(match[2]) > MOST_INDEX:
        return False
    try:
        upload_id = UploadId(UUID(match[1]))
    except ValueError:
        return False
    scope["route"] = route
    scope["path_params"] = {"upload_id": upload_id, "index": int(match[2])}
    return scope["method"] != "PUT" or _DIGEST.fullmatch(_digest(scope)) is not None


def _digest(scope: Scope) -> str:
    wanted = DIGEST_HEADER.encode()
    found = [value for name, value in scope["headers"] if name == wanted]
    return found[0].decode("latin-1") if len(found) == 1 else ""


async def _serve(scope: Scope, receive: Receive, send: Send) -> None:
    state, place = scope["app"].state, scope["path_params"]
    caller = await state.verifier.verify_service(bearer_token(scope["headers"]))
    if scope["method"] == "PUT":
        request = Request(scope, receive, send)
        answer = await upload_chunk(
            **place, digest=_digest(scope), request=request, _=caller, context=state.context
        )
    else:
        answer = await download_chunk(**place, _=caller, context=state.context)
    await answer(scope, receive, send)
