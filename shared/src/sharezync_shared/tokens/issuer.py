"""Minting of access and service tokens; auth does it, and tests."""

import secrets
import time
from dataclasses import dataclass
from typing import Any

import jwt

from sharezync_shared.ids import DeviceId, SessionId, UserId
from sharezync_shared.tokens.claims import (
    INTERNAL_AUDIENCE,
    INTERNAL_SCOPE,
    SERVICE_SUBJECT_PREFIX,
    TOKEN_TYPE,
    USER_SCOPE,
    Clock,
    service_name,
)
from sharezync_shared.tokens.signing import SigningKey


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A signed token; `expires_at` is in seconds since the epoch."""

    token: str
    token_id: str
    expires_at: int
    expires_in_seconds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenIssuer:
    """Mints tokens with one key. Cheap to make: when keys rotate, `dataclasses.replace` it."""

    key: SigningKey
    issuer: str = "sharezync"
    audience: str = "sharezync"
    internal_audience: str = INTERNAL_AUDIENCE
    access_lifetime_seconds: int = 600
    service_lifetime_seconds: int = 300
    clock: Clock = time.time

    def access_token(
        self, *, user_id: UserId, session_id: SessionId, device_id: DeviceId | None = None
    ) -> IssuedToken:
        """Return a token with which this user may act within this session."""
        claims = {
            "aud": self.audience,
            "sub": str(user_id),
            "sid": str(session_id),
            "scope": USER_SCOPE,
        }
        if device_id is not None:
            claims["did"] = str(device_id)
        return self._issue(claims, self.access_lifetime_seconds)

    def service_token(self, name: str) -> IssuedToken:
        """Return a token with which the service `name` may call `/internal/*` of the others.

        Raises ValueError if that can't be a service's name.
        """
        claims = {
            "aud": self.internal_audience,
            "sub": SERVICE_SUBJECT_PREFIX + service_name(name),
            "scope": INTERNAL_SCOPE,
        }
        return self._issue(claims, self.service_lifetime_seconds)

    def _issue(self, claims: dict[str, Any], lifetime_seconds: int) -> IssuedToken:
        now = int(self.clock())
        token_id = secrets.token_urlsafe(16)
        expires_at = now + lifetime_seconds
        token = jwt.encode(
            {
                "iss": self.issuer,
                **claims,
                "jti": token_id,
                "iat": now,
                "nbf": now,
                "exp": expires_at,
            },
            self.key.private,
            algorithm=self.key.algorithm,
            headers={"typ": TOKEN_TYPE, "kid": self.key.kid},
        )
        return IssuedToken(token, token_id, expires_at, lifetime_seconds)
