"""The routes of the dialect: rows of the route table, and who handles them."""

from collections.abc import Awaitable, Callable
from typing import Final

import msgspec

from sharezync_gateway.routes import (
    COSTLY,
    FILE_BODY,
    GATEWAY,
    PUBLIC,
    SIGN_IN,
    Route,
    make_rows,
)
from sharezync_gateway.transfers.http.requests import RequestHandler, RoutedRequest
from sharezync_gateway.zync import channels, messages, users
from sharezync_gateway.zync.requests import AnswerRefused, GatewayRequest, ZyncRequest
from sharezync_gateway.zync.users import Outcome

ZYNC_ROUTES: Final[tuple[Route, ...]] = make_rows(
    GATEWAY,
    ("POST", "/users", PUBLIC, SIGN_IN),
    ("GET", "/users", COSTLY),
    ("GET PATCH DELETE", "/users/{id}"),
    ("GET POST", "/channels"),
    ("GET", "/channels/my-memberships"),
    ("GET PATCH DELETE", "/channels/{id}"),
    ("PATCH", "/channels/{id}/change_owner"),
    ("POST", "/channels/{id}/join"),
    ("DELETE", "/channels/{id}/leave"),
    ("GET", "/channels/{id}/members"),
    ("GET", "/messages/channel/{id}"),
    ("GET", "/messages/user/{id}", COSTLY),
    ("GET", "/messages/channel/{id}/user/{user_id}", COSTLY),
    ("POST", "/messages/channels/{id}/messages"),
    ("POST", "/messages/channels/{id}/files", *FILE_BODY),
    ("GET PATCH DELETE", "/messages/{id}"),
    ("GET", "/messages/{id}/access-url"),
)

_HANDLERS: Final[dict[str, Callable[[ZyncRequest], Awaitable[Outcome]]]] = {
    "POST /users": users.create,
    "GET /users": users.page,
    "GET /users/{id}": users.get,
    "PATCH /users/{id}": users.update,
    "DELETE /users/{id}": users.delete,
    "GET /channels": channels.page,
    "POST /channels": channels.create,
    "GET /channels/my-memberships": channels.of_mine,
    "GET /channels/{id}": channels.get,
    "PATCH /channels/{id}": channels.update,
    "DELETE /channels/{id}": channels.delete,
    "PATCH /channels/{id}/change_owner": channels.change_owner,
    "POST /channels/{id}/join": channels.join,
    "DELETE /channels/{id}/leave": channels.leave,
    "GET /channels/{id}/members": channels.members,
    "GET /messages/channel/{id}": messages.of_channel,
    "GET /messages/user/{id}": messages.of_user,
    "GET /messages/channel/{id}/user/{user_id}": messages.of_user_in_channel,
    "POST /messages/channels/{id}/messages": messages.post,
    "POST /messages/channels/{id}/files": messages.post_file,
    "GET /messages/{id}": messages.get,
    "PATCH /messages/{id}": messages.update,
    "DELETE /messages/{id}": messages.delete,
    "GET /messages/{id}/access-url": messages.access_url,
}

_PASSED_BACK: Final = frozenset({b"content-type", b"retry-after", b"www-authenticate"})


class ZyncRoutes:
    """Answers the dialect's routes.

    `app` takes the requests that they come to: it is set when the gateway is put together.
    """

    app: GatewayRequest

    def __init__(self, public_url: str | None) -> None:
        self._public_url = public_url and public_url.rstrip("/")

    def by_route(self) -> dict[str, RequestHandler]:
        """Return the handler of each of `ZYNC_ROUTES`, by template."""
        return {route.path: self._answer for route in ZYNC_ROUTES}

    async def _answer(self, routed: RoutedRequest) -> None:
        handler = _HANDLERS[f"{routed.method} {routed.route.path}"]
        try:
            request = ZyncRequest(routed=routed, app=self.app, public_url=self._public_url)
            status, document = await handler(request)
        except AnswerRefused as refused:
            answer = refused.answer
            kept = {n.decode(): v.decode("latin-1") for n, v in answer.headers.items()
                    if n in _PASSED_BACK}  # fmt: skip
            await _send(routed, answer.status, kept, answer.body)
            return
        body = b"" if document is None else msgspec.json.encode(document)
        kind = {} if document is None else {"content-type": "application/json"}
        await _send(routed, status, kind, body)


async def _send(routed: RoutedRequest, status: int, headers: dict[str, str], body: bytes) -> None:
    length = {} if status == 204 else {"content-length": str(len(body))}
    await routed.start(status, {**headers, **length})
    await routed.write(body)
