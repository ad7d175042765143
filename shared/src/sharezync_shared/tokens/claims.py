"""What a verified token says, and the names of claims, which auth and all verifiers share.

Sources: RFC 9068 (JWT access tokens), RFC 7519 §4.1 (claims), RFC 8693 §4.2 (`scope`).
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from sharezync_shared.ids import DeviceId, SessionId, UserId

Clock = Callable[[], float]
"""Seconds since the epoch, as `time.time` gives them."""

MAX_TOKEN_BYTES: Final = 8 * 1024
"""Longer tokens are refused before anything in them is read."""

LEEWAY_SECONDS: Final = 10
"""How far the clocks of two machines may be apart."""

TOKEN_TYPE: Final = "at+jwt"  # noqa: S105 - a media type, no secret
"""The `typ` header (RFC 9068 §2.1): no other kind of JWT can pass for an access token."""

INTERNAL_AUDIENCE: Final = "sharezync.internal"
USER_SCOPE: Final = "user"
INTERNAL_SCOPE: Final = "internal"
SERVICE_SUBJECT_PREFIX: Final = "service:"

_SERVICE_NAME = re.compile(r"[a-z][a-z0-9-]{0,31}")


class BadClaims(Exception):
    """The signature may be right, but what is signed is not what we issue."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """A user, as a verified access token names them.

    `expires_at` and `issued_at` are seconds since the epoch. `device_id` is None where the login
    named no device.
    """

    user_id: UserId
    session_id: SessionId
    device_id: DeviceId | None
    scope: frozenset[str]
    expires_at: int
    token_id: str
    # 0 is older than any revocation: who forgets to say is refused, not let through.
    issued_at: int = 0


@dataclass(frozen=True, slots=True)
class ServiceIdentity:
    """One of our own services, as a verified service token names it, such as `chat`."""

    name: str


def service_name(name: str) -> str:
    """Return `name` if it can name a service; raises ValueError otherwise."""
    if not _SERVICE_NAME.fullmatch(name):
        raise ValueError(f"{name!r} can't name a service: lower-case letters, digits and hyphens")
    return name


def identity_of(claims: Mapping[str, Any]) -> Identity:
    """Return the user that these claims name, their times checked before. Raises BadClaims."""
    scope = _scope(claims)
    if USER_SCOPE not in scope:
        raise BadClaims("scope")
    device = claims.get("did")
    return Identity(
        user_id=UserId(_uuid(claims, "sub")),
        session_id=SessionId(_uuid(claims, "sid")),
        device_id=None if device is None else DeviceId(_uuid(claims, "did")),
        scope=scope,
        expires_at=claims["exp"],
        token_id=claims["jti"],
        issued_at=claims["iat"],
    )


def service_identity_of(claims: Mapping[str, Any]) -> ServiceIdentity:
    """Return the service that these claims name; raises BadClaims."""
    if INTERNAL_SCOPE not in _scope(claims):
        raise BadClaims("scope")
    subject = str(claims["sub"])
    if not subject.startswith(SERVICE_SUBJECT_PREFIX):
        raise BadClaims("sub")
    try:
        return ServiceIdentity(service_name(subject.removeprefix(SERVICE_SUBJECT_PREFIX)))
    except ValueError as error:
        raise BadClaims("sub") from error


def _scope(claims: Mapping[str, Any]) -> frozenset[str]:
    scope = claims["scope"]
    if not isinstance(scope, str):
        raise BadClaims("scope")
    return frozenset(scope.split())


def _uuid(claims: Mapping[str, Any], name: str) -> UUID:
    text = claims[name]
    try:
        parsed = UUID(text)
    except (ValueError, TypeError, AttributeError) as error:
        raise BadClaims(name) from error
    # UUID() also takes braces, urn: and missing hyphens; one id must have one spelling.
    if str(parsed) != text:
        raise BadClaims(name)
    return parsed
