"""The OAuth2 grants: a password, a refresh token, or a service's secret for an access token.

Errors are those of RFC 6749 §5.2.
"""

import hmac
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar
from uuid import UUID

import structlog
from pydantic import BaseModel, Field
from sqlmodel import or_, select

from sharezync_auth import refresh
from sharezync_auth.keyring import Keyring
from sharezync_auth.models import Device, Session, User
from sharezync_auth.names import key_of
from sharezync_auth.passwords import MAX_BYTES, Passwords
from sharezync_auth.settings import AuthSettings
from sharezync_auth.usecases import sessions
from sharezync_shared.db.work import Unit, Work
from sharezync_shared.ids import DeviceId, SessionId, UserId
from sharezync_shared.problems import Kind, Problem
from sharezync_shared.tokens.claims import INTERNAL_SCOPE, USER_SCOPE

log = structlog.get_logger()


class GrantRefused(Problem):
    """A refusal of the token endpoint, with the error name of RFC 6749 §5.2."""

    kind, slug, title = Kind.MALFORMED, "grant-refused", "No token for that"
    error: ClassVar[str] = "invalid_request"


class InvalidRequest(GrantRefused):
    slug, title = "invalid-request", "A parameter is missing, doubled or malformed"


class InvalidGrant(GrantRefused):
    slug, title = "invalid-grant", "These credentials don't hold, or hold no more"
    error = "invalid_grant"


class InvalidClient(GrantRefused):
    kind, slug, title = Kind.UNAUTHENTICATED, "invalid-client", "This client is not known"
    error = "invalid_client"


class UnsupportedGrant(GrantRefused):
    slug, title = "unsupported-grant-type", "There is no such grant"
    error = "unsupported_grant_type"


class TokenRead(BaseModel):
    """The answer of the token endpoint (RFC 6749 §5.1)."""

    access_token: str
    token_type: str = "bearer"  # noqa: S105 - a word of the RFC
    expires_in: int = Field(description="Seconds", examples=[600])
    refresh_token: str | None = Field(None, description="Not with client_credentials")
    scope: str = Field(examples=[USER_SCOPE])


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a login came from."""

    address: str
    user_agent: str


@dataclass(frozen=True, slots=True)
class Grants:
    """What answers the token endpoint."""

    work: Work
    settings: AuthSettings
    passwords: Passwords
    keyring: Keyring

    async def password(
        self, *, username: str, password: str, device_id: UUID | None, origin: Origin
    ) -> TokenRead:
        """Begin a session. `username` may be the e-mail address.

        Unknown, wrong and overlong are all told alike, after the same work. Raises InvalidGrant.
        """
        async with self.work.read() as unit:
            key = key_of(username)
            found = await unit.session.exec(
                select(User).where(or_(User.username_key == key, User.email_key == key))
            )
            user = found.first()
        if len(password.encode()) > MAX_BYTES:
            password, user = "", None
        right, renewed = await self.passwords.verify(password, user.password_hash if user else None)
        if user is None or not right:
            raise InvalidGrant("Wrong username or password")
        async with self.work.begin() as unit:
            account = await unit.get(User, user.id, lock=True)
            if account is None or account.password_hash != user.password_hash:
                raise InvalidGrant("Wrong username or password")  # changed while we looked
            if renewed:
                account.password_hash = renewed
            if device_id is not None:
                device = await unit.get(Device, device_id)
                if device is None or device.user_id != user.id:
                    raise InvalidRequest("device_id is not a device of yours")
            session = Session(
                user_id=user.id,
                device_id=device_id,
                refresh_key=refresh.new_key(),
                address=origin.address,
                user_agent=origin.user_agent,
                created_at=unit.now,
                last_used_at=unit.now,
            )
            unit.add(session)
        return self._answer(session)

    async def refresh(self, *, token: str, origin: Origin) -> TokenRead:
        """Go on with a session. Raises InvalidGrant.

        The reuse of an old token ends the session, and that is committed although it is refused.
        """
        parsed = refresh.parse(token)
        if parsed is None:
            raise InvalidGrant("The refresh token is not valid")
        async with self.work.begin() as unit:
            session = await unit.get(Session, parsed.session_id, lock=True)
            verdict = session and refresh.judge(
                parsed, key=session.refresh_key, counter=session.counter
            )
            if session is None or verdict is None or not self._lives(session, unit.now):
                raise InvalidGrant("The refresh token is not valid")
            if verdict is refresh.Verdict.REUSED:
                await self._end_stolen(unit, session)
            else:
                if verdict is refresh.Verdict.CURRENT:
                    session.counter += 1
                session.last_used_at = unit.now
                session.address, session.user_agent = origin.address, origin.user_agent
        if verdict is refresh.Verdict.REUSED:
            raise InvalidGrant("The refresh token was used before; the session has ended")
        return self._answer(session)

    def client(self, *, client_id: str, secret: str) -> TokenRead:
        """Give a service the token for its peers' internal routes. Raises InvalidClient."""
        known = self.settings.secret_of_service(client_id)
        if known is None or not hmac.compare_digest(known.encode(), secret.encode()):
            raise InvalidClient
        issued = self.keyring.issuer().service_token(client_id)
        return TokenRead(
            access_token=issued.token, expires_in=issued.expires_in_seconds, scope=INTERNAL_SCOPE
        )

    def _answer(self, session: Session) -> TokenRead:
        issued = self.keyring.issuer().access_token(
            user_id=UserId(session.user_id),
            session_id=SessionId(session.id),
            device_id=DeviceId(session.device_id) if session.device_id else None,
        )
        return TokenRead(
            access_token=issued.token,
            expires_in=issued.expires_in_seconds,
            refresh_token=refresh.seal(session.id, session.counter, session.refresh_key),
            scope=USER_SCOPE,
        )

    def _lives(self, session: Session, now: datetime) -> bool:
        return (
            session.revoked_at is None
            and now - session.last_used_at < timedelta(days=self.settings.session_idle_days)
            and now - session.created_at < timedelta(days=self.settings.session_max_days)
        )

    async def _end_stolen(self, unit: Unit, session: Session) -> None:
        log.warning("refresh_token_reused", session_id=str(session.id))
        await sessions.end(unit, [session], "token_reused")
