"""Who asks: a user with an access token, or whoever holds a transfer's capability token."""

from dataclasses import dataclass
from typing import Final

from sharezync_shared.problems import Unauthenticated
from sharezync_shared.tokens.claims import Identity

SCHEME: Final = b"transfer"
_MOST_BYTES: Final = 1024


@dataclass(frozen=True, slots=True)
class Caller:
    """Either a user, verified, or the `token` of a transfer, which transfer itself verifies."""

    user_id: str = ""
    device_id: str | None = None
    token: str | None = None


def caller_of(authorization: bytes | None, identity: Identity | None) -> Caller:
    """Return who asks. Raises Unauthenticated for a capability that can't be one."""
    if identity is not None:
        device = identity.device_id
        return Caller(str(identity.user_id), None if device is None else str(device))
    _, _, token = (authorization or b"").partition(b" ")
    token = token.strip()
    if not token or len(token) > _MOST_BYTES or not token.isascii():
        raise Unauthenticated(
            "The Authorization header must be `Bearer <token>` or `Transfer <token>`",
            headers={"WWW-Authenticate": 'Transfer error="invalid_request"'},
        )
    return Caller(token=token.decode())


def shows_capability(authorization: bytes | None) -> bool:
    """Whether somebody comes with a capability token, good or not."""
    return authorization is not None and authorization[:9].lower() == SCHEME + b" "
