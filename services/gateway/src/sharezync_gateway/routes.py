"""The route table: everything that can be reached through the gateway, and on what terms.

What isn't here doesn't exist for clients. A service's new route needs a row. Nothing under
`/internal` can have one: `RouteTable` refuses the table.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Final


class Access(Enum):
    """Who is let in at the door. Services decide again what each caller may do."""

    USER = "user"
    """With a valid access token of a user."""
    EITHER = "either"
    """With a valid access token, or with none: the service then asks for another proof, such as
    the signature of a link. A token that is shown must hold all the same."""
    CAPABILITY = "capability"
    """With a valid access token of a user, or with the capability token of a transfer
    (`Authorization: Transfer …`), which is for what lies behind to find good."""
    PUBLIC = "public"
    """Anybody; the service may still ask for a token of its own kind."""


class BodyKind(Enum):
    """How much a request may carry, by the name of the setting."""

    JSON = "max_json_body_bytes"
    FILE = "max_file_body_bytes"


class Wait(Enum):
    """How long a service may say nothing, by the name of the setting."""

    USUAL = "upstream_timeout_seconds"
    BYTES = "upstream_bytes_timeout_seconds"
    """Where files are moved and checked."""
    FOLLOW = "upstream_follow_timeout_seconds"
    """Where the answer follows something that is still arriving."""


class RateClass(Enum):
    """Which limit counts: a user's, or an address's. Each has a setting, `RATE_LIMIT_…`."""

    STANDARD = "standard"
    COSTLY = "costly"
    BYTES = "bytes"
    PUBLIC = "public"
    SIGN_IN = "sign_in"
    SOCKETS = "sockets"
    FREE = "free"
    """Not counted: probes."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Route:
    """One row: these methods of this path go to this service, on these terms.

    Rows are equal only to themselves: they are keys on the way of each request.
    """

    methods: frozenset[str]
    path: str
    """Template such as `/v1/channels/{id}`; a `{name}` stands for one segment. Metrics show it."""
    service: str
    access: Access = Access.USER
    body: BodyKind = BodyKind.JSON
    wait: Wait = Wait.USUAL
    rate: RateClass = RateClass.STANDARD


GATEWAY: Final = "gateway"
_Trait = Access | BodyKind | Wait | RateClass

PUBLIC, SIGN_IN, COSTLY, FREE = Access.PUBLIC, RateClass.SIGN_IN, RateClass.COSTLY, RateClass.FREE
FILE_BODY: Final = (BodyKind.FILE, Wait.BYTES, RateClass.BYTES)
_BYTES: Final = (Wait.BYTES, RateClass.BYTES)


def make_rows(service: str, *rows: tuple[str | _Trait, ...]) -> tuple[Route, ...]:
    """Read rows of methods, path and traits; what isn't said has `Route`'s default."""
    return tuple(_route(service, *row) for row in rows)


def _route(service: str, methods: str | _Trait, path: str | _Trait, *traits: str | _Trait) -> Route:
    names = {Access: "access", BodyKind: "body", Wait: "wait", RateClass: "rate"}
    terms: dict[str, object] = {names[type(trait)]: trait for trait in traits}  # type: ignore[index]  # a str among the traits is a KeyError: the table is wrong
    if terms.get("access") is PUBLIC:
        terms.setdefault("rate", RateClass.PUBLIC)
    return Route(methods=frozenset(str(methods).split()), path=str(path), service=service, **terms)  # type: ignore[arg-type]  # the names above map each trait to the field of its type


ROUTES: Final[tuple[Route, ...]] = (
    *make_rows(
        GATEWAY,
        ("GET HEAD", "/", PUBLIC),
        ("GET HEAD", "/health", PUBLIC, FREE),
        ("GET HEAD", "/ready", PUBLIC, FREE),
        # Where the design of ShareZidi has what is elsewhere.
        ("GET", "/stats", PUBLIC),
        ("GET", "/devices/online", PUBLIC),
        ("GET", "/openapi.json", PUBLIC),
        ("GET", "/openapi/{document}", PUBLIC),
        ("GET", "/asyncapi.json", PUBLIC),
        ("GET", "/docs", PUBLIC),
        ("GET", "/docs/{service}", PUBLIC),
        ("GET", "/docs/assets/{file}", PUBLIC),
        ("GET", "/redoc", PUBLIC),
        # Bytes of transfers don't pass through transfer: they go from here to storage and back. A
        # chunk carries what its place in the file holds, no byte more or less.
        ("GET HEAD PUT", "/v1/transfers/{id}/files/{n}/chunks/{i}", Access.CAPABILITY, *_BYTES),
        (
            "GET HEAD",
            "/v1/transfers/{id}/files/{n}/content",
            Access.CAPABILITY,
            Wait.FOLLOW,
            RateClass.BYTES,
        ),
    ),
    *make_rows(
        "auth",
        ("POST", "/token", PUBLIC, SIGN_IN),
        ("POST", "/v1/auth/token", PUBLIC, SIGN_IN),
        ("POST", "/v1/auth/register", PUBLIC, SIGN_IN),
        ("POST", "/v1/auth/logout"),
        ("POST", "/v1/auth/password"),
        ("GET", "/v1/auth/sessions"),
        ("DELETE", "/v1/auth/sessions/{id}"),
        ("GET", "/.well-known/jwks.json", PUBLIC),
        ("GET PATCH DELETE", "/v1/users/me"),
        ("GET", "/v1/users", COSTLY),
        ("GET", "/v1/users/{id}"),
        ("GET", "/v1/users/{id}/devices"),
        ("GET POST", "/v1/devices"),
        ("PATCH DELETE", "/v1/devices/{id}"),
        ("GET", "/v1/blocks"),
        ("PUT DELETE", "/v1/blocks/{user_id}"),
    ),
    *make_rows(
        "chat",
        ("GET POST", "/v1/channels"),
        ("GET PATCH DELETE", "/v1/channels/{id}"),
        ("POST", "/v1/channels/{id}/join"),
        ("POST", "/v1/channels/{id}/leave"),
        ("POST", "/v1/channels/{id}/owner"),
        ("GET POST", "/v1/channels/{id}/members"),
        ("PATCH DELETE", "/v1/channels/{id}/members/{user_id}"),
        ("GET POST", "/v1/channels/{id}/invites"),
        ("DELETE", "/v1/channels/{id}/invites/{invite_id}"),
        ("GET", "/v1/channels/{id}/bans"),
        ("PUT DELETE", "/v1/channels/{id}/bans/{user_id}"),
        ("POST", "/v1/invites/{code}/accept"),
        ("POST", "/v1/conversations"),
        ("GET", "/v1/memberships"),
        ("GET POST", "/v1/channels/{id}/messages"),
        ("GET", "/v1/messages", COSTLY),
        ("GET PATCH DELETE", "/v1/messages/{id}"),
        ("GET", "/v1/messages/{id}/edits"),
        ("GET", "/v1/messages/{id}/replies"),
        ("PUT DELETE", "/v1/messages/{id}/reactions/{emoji}"),
        ("GET", "/v1/messages/{id}/attachments/{file_id}"),
        ("GET", "/v1/channels/{id}/pins"),
        ("PUT DELETE", "/v1/channels/{id}/pins/{message_id}"),
        ("PUT", "/v1/channels/{id}/read"),
        ("GET", "/v1/search", COSTLY),
        ("GET", "/v1/sync"),
    ),
    *make_rows(
        "transfer",
        ("GET POST", "/v1/transfers"),
        ("GET", "/v1/transfers/stats", COSTLY),
        ("GET", "/v1/transfers/policies"),
        ("GET PUT", "/v1/transfers/policies/{device_id}"),
        ("GET", "/v1/transfers/{id}"),
        ("POST", "/v1/transfers/{id}/accept"),
        ("POST", "/v1/transfers/{id}/reject"),
        ("POST", "/v1/transfers/{id}/pause"),
        ("POST", "/v1/transfers/{id}/resume"),
        ("POST", "/v1/transfers/{id}/cancel"),
        ("POST", "/v1/transfers/{id}/complete", Access.CAPABILITY, Wait.BYTES),
        ("GET", "/v1/transfers/{id}/missing", Access.CAPABILITY),
        ("POST", "/v1/transfers/{id}/receipts", Access.CAPABILITY),
        ("POST", "/v1/transfers/{id}/token"),
    ),
    *make_rows(
        "storage",
        # tus 1.0: OPTIONS returns what is supported; POST on an upload carries
        # X-HTTP-Method-Override for clients that can't send PATCH or DELETE.
        ("OPTIONS", "/v1/uploads", PUBLIC),
        ("POST", "/v1/uploads", *FILE_BODY),
        ("OPTIONS", "/v1/uploads/{id}", PUBLIC),
        ("GET HEAD DELETE", "/v1/uploads/{id}"),
        ("PATCH POST", "/v1/uploads/{id}", *FILE_BODY),
        ("GET", "/v1/files"),
        ("POST", "/v1/files", *FILE_BODY),
        ("POST", "/v1/files/presigned"),
        ("GET DELETE", "/v1/files/presigned/{id}"),
        ("PUT", "/v1/files/presigned/{id}/parts/{n}", Access.EITHER, *FILE_BODY),
        ("POST", "/v1/files/presigned/{id}/complete", Wait.BYTES),
        ("GET DELETE", "/v1/files/{id}"),
        ("GET HEAD", "/v1/files/{id}/content", Access.EITHER, *_BYTES),
        ("POST", "/v1/files/{id}/urls"),
        ("GET POST", "/v1/files/{id}/links"),
        ("DELETE", "/v1/files/{id}/links/{link_id}"),
        ("GET HEAD", "/v1/links/{token}", PUBLIC),
        ("POST", "/v1/links/{token}/content", PUBLIC, Wait.BYTES),
        ("GET", "/v1/usage"),
    ),
)

SOCKET_ROUTES: Final[tuple[Route, ...]] = make_rows(
    GATEWAY,
    ("WEBSOCKET", "/ws/{client_id}", PUBLIC, RateClass.SOCKETS),
    ("WEBSOCKET", "/ws/channels/{channel_id}", PUBLIC, RateClass.SOCKETS),
)
"""Sockets; who may open one is for the socket engine to find out."""
