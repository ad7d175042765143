"""What a client asks for when it opens a socket, read from the ASGI scope."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qs

from starlette.types import Receive, Scope, Send

from sharezync_gateway.realtime.protocol import SUBPROTOCOL, CloseCode
from sharezync_shared.problems import (
    Forbidden,
    NotFound,
    Problem,
    Unauthenticated,
    problem_response,
)
from sharezync_shared.tokens.claims import Identity
from sharezync_shared.tokens.dependencies import bearer_token

_DEVICE_PATH: Final = re.compile(r"/ws/([A-Za-z0-9._~-]{1,64})")
_CHANNEL_PATH: Final = re.compile(r"/ws/channels/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})")
_BEARER: Final = "bearer."


@dataclass(frozen=True, slots=True, kw_only=True)
class Handshake:
    """One socket as it was asked for.

    `client_id` names the device, on `/ws/{client_id}`; `channel` is the stream to which the socket
    is narrowed, on `/ws/channels/{channel_id}`. `subprotocol` is what to answer. `token` is None
    where the first frame must bring it; `identity` is whose it was found to be. With `refusal` the
    socket is accepted only to be closed: browsers show their scripts a close code, and nothing
    of a refused handshake.
    """

    client_id: str | None
    channel: str | None
    subprotocol: str | None
    token: str | None
    refusal: tuple[CloseCode, str] | None = None
    identity: Identity | None = None


def read_handshake(scope: Scope, *, origins: Sequence[str], allow_query_token: bool) -> Handshake:
    """Return what is asked for.

    Raises NotFound for a path that names no device or channel, and Forbidden for a page of an
    origin that isn't in `origins`: browsers let any page open a socket to anywhere.
    """
    client_id, channel = _path(scope["path"])
    _check_origin(scope, origins)
    offered: list[str] = scope.get("subprotocols") or []
    names = [name for name in offered if not name.startswith(_BEARER)]
    subprotocol = SUBPROTOCOL if SUBPROTOCOL in names else None
    refusal: tuple[CloseCode, str] | None = None
    token: str | None = None
    try:
        token = _token(scope, offered, allow_query_token=allow_query_token)
    except Unauthenticated as problem:
        refusal = (CloseCode.BAD_TOKEN, problem.detail)
    if names and subprotocol is None:
        refusal = (CloseCode.WRONG_VERSION, f"{SUBPROTOCOL} is spoken here")
    return Handshake(
        client_id=client_id, channel=channel, subprotocol=subprotocol, token=token, refusal=refusal
    )


def _path(path: str) -> tuple[str | None, str | None]:
    if match := _CHANNEL_PATH.fullmatch(path):
        return None, f"channel:{match[1]}"
    if match := _DEVICE_PATH.fullmatch(path):
        return match[1], None
    raise NotFound(
        "The path must end with a client_id (1 to 64 letters, digits, or . _ ~ -) or a channel id"
    )


def _check_origin(scope: Scope, origins: Sequence[str]) -> None:
    sent = [value.decode("latin-1") for name, value in scope["headers"] if name == b"origin"]
    if sent and "*" not in origins and (len(sent) > 1 or sent[0] not in origins):
        raise Forbidden("Connections from this origin aren't allowed")


def _token(scope: Scope, offered: list[str], *, allow_query_token: bool) -> str | None:
    """Return the token that came with the handshake, if any; the header counts first."""
    headers: list[tuple[bytes, bytes]] = scope["headers"]
    if any(name == b"authorization" for name, _ in headers):
        return bearer_token(headers)
    for name in offered:
        if name.startswith(_BEARER):
            return name.removeprefix(_BEARER)
    query: dict[bytes, list[bytes]] = parse_qs(scope.get("query_string", b""))
    in_query = query.get(b"token")
    if not in_query:
        return None
    if not allow_query_token:
        raise Unauthenticated("Tokens in the query string aren't allowed")
    return in_query[0].decode("latin-1")


async def refuse_handshake(scope: Scope, receive: Receive, send: Send, problem: Problem) -> None:
    await receive()
    if "websocket.http.response" not in scope.get("extensions", {}):
        await send({"type": "websocket.close"})  # the server answers 403
        return
    response = problem_response(problem)
    start = {"status": problem.status, "headers": response.raw_headers}
    await send({"type": "websocket.http.response.start", **start})
    await send({"type": "websocket.http.response.body", "body": response.body})
