"""Verification of tokens, the same in every service and the gateway."""

import hashlib
import re
import time
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, Final, Generic, TypeVar

import jwt

from sharezync_shared.ids import SessionId, UserId
from sharezync_shared.problems import Unauthenticated, Unavailable
from sharezync_shared.tokens.claims import (
    INTERNAL_AUDIENCE,
    LEEWAY_SECONDS,
    MAX_TOKEN_BYTES,
    TOKEN_TYPE,
    BadClaims,
    Clock,
    Identity,
    ServiceIdentity,
    identity_of,
    service_identity_of,
)
from sharezync_shared.tokens.keys import KeySource, KeysUnavailable, UnknownKey

# An allow-list: `jku`, `x5u`, `jwk`, `crit`, `b64`, `cty` and whatever comes next stay outside.
_HEADERS: Final = frozenset({"alg", "typ", "kid"})
_REQUIRED: Final = ("iss", "aud", "sub", "jti", "iat", "nbf", "exp", "scope")
_LATEST: Final = 2**53  # the largest whole number that every JSON reader gets right (RFC 8259 §6)
_COMPACT: Final = re.compile(r"[\w-]+\.[\w-]+\.[\w-]+", re.ASCII)

T = TypeVar("T")


class Revocations:
    """What was revoked during the last lifetime of an access token, in memory.

    A process that starts, or was cut off from the broker, has missed some: it asks auth for those
    of the last `lifetime_seconds` first. An entry is dropped once every token it could concern has
    run out, so the size is bounded by what auth revokes in that time.
    """

    def __init__(
        self,
        *,
        access_lifetime_seconds: float = 600,
        clock: Clock = time.time,
    ) -> None:
        self.lifetime_seconds = access_lifetime_seconds
        # Twice: auth's clock may be ahead of ours, and an ended token is honoured a little longer.
        self._keep_seconds = access_lifetime_seconds + 2 * LEEWAY_SECONDS
        self._clock = clock
        # Both in the order in which entries end, as all live equally long: pruning is popping.
        self._sessions: dict[SessionId, float] = {}
        self._users: dict[UserId, tuple[float, float]] = {}

    def __len__(self) -> int:
        return len(self._sessions) + len(self._users)

    def revoke_session(self, session_id: SessionId) -> None:
        """Refuse every token of this session from now on. Safe to repeat."""
        now = self._clock()
        self._prune(now)
        self._sessions.pop(session_id, None)
        self._sessions[session_id] = now + self._keep_seconds

    def revoke_user(self, user_id: UserId, *, not_before: float | None = None) -> None:
        """Refuse every token issued to this user up to `not_before`, in seconds since the epoch.

        None stands for now and the leeway on top, as auth's clock may be ahead: that suits a user
        who is gone or banned. One who may log in again at once (a global logout) is better served
        by revoking the sessions by name. Safe to repeat: the latest time holds.
        """
        now = self._clock()
        self._prune(now)
        refused_until = now + LEEWAY_SECONDS if not_before is None else not_before
        before, _ = self._users.pop(user_id, (refused_until, 0))
        self._users[user_id] = (max(before, refused_until), now + self._keep_seconds)

    def covers(self, identity: Identity) -> bool:
        """Whether tokens with this identity are refused. Two dictionary look-ups."""
        if identity.session_id in self._sessions:
            return True
        revoked = self._users.get(identity.user_id)
        # `iat` is in whole seconds: one of the same second may be from before, so it is refused.
        return revoked is not None and identity.issued_at <= revoked[0]

    def _prune(self, now: float) -> None:
        while self._sessions and self._sessions[oldest := next(iter(self._sessions))] <= now:
            del self._sessions[oldest]
        while self._users and self._users[eldest := next(iter(self._users))][1] <= now:
            del self._users[eldest]


class _Verified(Generic[T]):
    """What the last `capacity` verified tokens say, the least recently used given up first.

    Keys are SHA-256 digests, so that a look into memory finds no tokens.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._entries: OrderedDict[bytes, tuple[T, float]] = OrderedDict()

    def get(self, digest: bytes, now: float) -> T | None:
        value, until = self._entries.get(digest, (None, 0.0))
        if value is None:
            return None
        if now >= until:
            del self._entries[digest]
            return None
        self._entries.move_to_end(digest)
        return value

    def put(self, digest: bytes, value: T, until: float) -> None:
        self._entries[digest] = value, until
        self._entries.move_to_end(digest)
        if len(self._entries) > self._capacity:
            self._entries.popitem(last=False)


class TokenVerifier:
    """Verifies access tokens of users and of services.

    What passed is remembered for `remember_seconds` or until it runs out, so that a busy client's
    token costs a hash instead of a signature; revocation is looked up every time all the same.
    """

    def __init__(
        self,
        keys: KeySource,
        *,
        issuer: str,
        audience: str,
        revocations: Revocations,
        clock: Clock = time.time,
        remember_seconds: float = 60,
        remember_count: int = 10_000,
    ) -> None:
        self._keys = keys
        self._issuer = issuer
        self._audience = audience
        self._revocations = revocations
        self._clock = clock
        self._remember_seconds = remember_seconds
        self._users: _Verified[Identity] = _Verified(remember_count)
        self._services: _Verified[ServiceIdentity] = _Verified(remember_count)

    def peek(self, token: str) -> Identity | None:
        """Return whose token this is if it was verified a moment ago and still holds.

        None says nothing about the token: ask `verify`. Never raises.
        """
        digest = _digest(token)
        if digest is None:
            return None
        identity = self._users.get(digest, self._clock())
        if identity is None or self._revocations.covers(identity):
            return None
        return identity

    async def verify(self, token: str) -> Identity:
        """Return the user whose access token this is.

        Raises Unauthenticated if it is not valid, has run out or was revoked, and Unavailable if
        that can't be found out because auth's keys can't be had.
        """
        digest = _digest(token)
        if digest is None:
            raise _invalid()
        identity = self._users.get(digest, self._clock())
        if identity is None:
            claims = await self._claims(token, self._audience, ("sid",))
            if claims["exp"] - claims["iat"] > self._revocations.lifetime_seconds:
                # Its revocation would be forgotten before it runs out.
                raise _invalid("The lifetime of the token is too long")
            try:
                identity = identity_of(claims)
            except BadClaims as error:
                raise _invalid() from error
            self._users.put(digest, identity, self._remember_until(claims))
        if self._revocations.covers(identity):
            raise _invalid("The session of this token has ended")
        return identity

    async def verify_service(self, token: str) -> ServiceIdentity:
        """Return the service whose token this is. Raises as `verify` does."""
        digest = _digest(token)
        if digest is None:
            raise _invalid()
        service = self._services.get(digest, self._clock())
        if service is None:
            claims = await self._claims(token, INTERNAL_AUDIENCE, ())
            try:
                service = service_identity_of(claims)
            except BadClaims as error:
                raise _invalid() from error
            self._services.put(digest, service, self._remember_until(claims))
        return service

    def _remember_until(self, claims: Mapping[str, Any]) -> float:
        return min(float(claims["exp"]), self._clock() + self._remember_seconds)

    async def _claims(self, token: str, audience: str, also: tuple[str, ...]) -> dict[str, Any]:
        """Return the claims of a token that is ours, for `audience` and in its time."""
        if not _COMPACT.fullmatch(token):
            raise _invalid()
        try:
            kid = self._kid(jwt.get_unverified_header(token))
            claims: dict[str, Any] = jwt.decode(
                token,
                await self._keys.key_for(kid),
                algorithms=[self._keys.algorithm],
                audience=audience,
                issuer=self._issuer,
                options={
                    "require": [*_REQUIRED, *also],
                    "strict_aud": True,
                    "enforce_minimum_key_length": True,
                    # Checked below: by our clock, and whole numbers only.
                    "verify_exp": False,
                    "verify_iat": False,
                    "verify_nbf": False,
                },
            )
        except (jwt.PyJWTError, UnknownKey) as error:
            raise _invalid() from error
        except KeysUnavailable as error:
            raise Unavailable("Tokens can't be verified at the moment") from error
        self._check_times(claims)
        return claims

    def _kid(self, header: Mapping[str, Any]) -> str | None:
        if not header.keys() <= _HEADERS:
            raise _invalid()
        if header.get("typ") != TOKEN_TYPE or header.get("alg") != self._keys.algorithm:
            raise _invalid()
        return header.get("kid")

    def _check_times(self, claims: Mapping[str, Any]) -> None:
        times = [claims[name] for name in ("exp", "iat", "nbf")]
        # Not isinstance, as True is an int; and no number too large to reckon with.
        if not all(type(moment) is int and 0 <= moment <= _LATEST for moment in times):
            raise _invalid()
        expires, issued, not_before = times
        now = self._clock()
        if expires <= now - LEEWAY_SECONDS:
            raise _invalid("The token has expired")
        if max(issued, not_before) > now + LEEWAY_SECONDS:
            raise _invalid("The token is not valid yet")


def _digest(token: str) -> bytes | None:
    """Return the key under which a token is remembered; None if it can't be one of ours."""
    if len(token) > MAX_TOKEN_BYTES or not token.isascii():
        return None
    return hashlib.sha256(token.encode("ascii")).digest()


def _invalid(detail: str = "The token is not valid") -> Unauthenticated:
    # RFC 6750 §3. Why exactly a forgery failed is nobody's business.
    challenge = f'Bearer error="invalid_token", error_description="{detail}"'
    return Unauthenticated(detail, headers={"WWW-Authenticate": challenge})
