"""What the token endpoint gives out (RFC 6749): a session begins or goes on; tokens of services."""

from dataclasses import dataclass
from typing import Final, NamedTuple
from uuid import UUID

import structlog
from pydantic import BaseModel, Field
from sqlmodel import or_, select

from sharezync_auth import refresh
from sharezync_auth.errors import InvalidGrant, InvalidRequest
from sharezync_auth.keyring import Keyring
from sharezync_auth.models import Device, Session, User
from sharezync_auth.names import email_key
from sharezync_auth.refresh import RefreshVerdict
from sharezync_auth.usecases import sessions
from sharezync_auth.usecases.context import AuthContext
from sharezync_auth.usecases.sessions import Reason
from sharezync_auth.usecases.throttling import LoginAttempt
from sharezync_shared.ids import DeviceId, SessionId, UserId
from sharezync_shared.tokens.claims import INTERNAL_SCOPE, USER_SCOPE

log = structlog.get_logger()

_LOOKS: Final = 3
"""A right password is checked once more when its hash has changed meanwhile: so have two logins at
once with a hash that is renewed."""

_ENDS: Final[dict[RefreshVerdict, Reason]] = {
    RefreshVerdict.REUSED: "token_reused",
    RefreshVerdict.SPENT: "tokens_spent",
}


class TokenRead(BaseModel):
    """Tokens (RFC 6749 §5.1)."""

    access_token: str = Field(description="Send it as `Authorization: Bearer …`")
    token_type: str = Field("bearer", description="Always `bearer`")
    expires_in: int = Field(description="Seconds until the access token expires", examples=[600])
    refresh_token: str | None = Field(
        None, description="For the next `refresh_token` grant; absent with `client_credentials`"
    )
    scope: str = Field(examples=[USER_SCOPE], description="What the token is for")


@dataclass(frozen=True, slots=True)
class LoginOrigin:
    address: str
    user_agent: str


class _Account(NamedTuple):
    id: UUID
    password_hash: str


async def log_in(
    context: AuthContext,
    *,
    username: str,
    password: str,
    device_id: UUID | None,
    origin: LoginOrigin,
) -> TokenRead:
    """Begin a session. `username` may be the e-mail address, however a keyboard spaced it.

    Unknown, wrong and overlong get the same answer, after the same work. Raises InvalidGrant;
    TooManyTries or Unavailable where nobody looked at the password.
    """
    account: _Account | None = None
    for _ in range(_LOOKS):
        account = await _find(context, username)
        trial = LoginAttempt.of_login(
            username=username, user_id=account and account.id, address=origin.address
        )
        stored = account and account.password_hash
        right, renewed = await context.throttle.check(trial, password=password, stored=stored)
        if account is None or not right:
            break
        session = await _begin(context, account, renewed, device_id, origin)
        if session is not None:
            return _tokens_of(session, context.keyring)
    # Not the name: who errs may have put the password there.
    log.info("login_failed", user_id=account and str(account.id))
    raise InvalidGrant("Wrong username or password")


async def refresh_session(context: AuthContext, *, token: str, origin: LoginOrigin) -> TokenRead:
    """Go on with a session. Raises InvalidGrant.

    A token that shows a theft (`refresh.py`) ends the session, and that is committed although it is
    refused. Requests with the same token wait for each other, and get the same answer.
    """
    parsed = refresh.parse(token)
    if parsed is None:
        raise InvalidGrant("The refresh token is not valid")
    async with context.work.begin() as unit:
        session = await unit.get(Session, parsed.session_id, lock=True)
        verdict = None
        if session is not None and sessions.lives(session, unit.now, context.settings):
            verdict = refresh.judge(
                parsed,
                key=session.refresh_key,
                counter=session.counter,
                since_rotation=unit.now - session.rotated_at,
                late_grace_counter=session.late_grace_counter,
            )
        if session is None or verdict is None:
            raise InvalidGrant("The refresh token is not valid")
        if verdict in _ENDS:
            await sessions.end(unit, [session], _ENDS[verdict])
        else:
            if verdict is RefreshVerdict.CURRENT:
                session.counter += 1
                session.rotated_at = unit.now
            elif verdict is RefreshVerdict.PREVIOUS_LATE:
                session.late_grace_counter = session.counter
            session.last_used_at = unit.now
            session.address, session.user_agent = origin.address, origin.user_agent
    context.metrics.refreshes[verdict].inc()
    if verdict in _ENDS:  # outside of the unit: raised inside, it would undo the end
        raise InvalidGrant("The refresh token is not valid")
    return _tokens_of(session, context.keyring)


def for_service(keyring: Keyring, name: str) -> TokenRead:
    """Return a token with which the service `name` may call the others' internal routes."""
    issued = keyring.issuer().service_token(name)
    return TokenRead(
        access_token=issued.token, expires_in=issued.expires_in_seconds, scope=INTERNAL_SCOPE
    )


class OwnCredentials:
    """auth's own token for the others, which it signs itself instead of asking for it."""

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring

    async def token(self) -> str:
        """Return a new token."""
        return self._keyring.issuer().service_token("auth").token

    async def token_instead_of(self, refused: str) -> str:
        """Return a new token."""
        del refused
        return await self.token()


async def _find(context: AuthContext, username: str) -> _Account | None:
    key = email_key(username)  # of a name as well
    async with context.work.read() as unit:
        # Two columns, no object of ours: a name that exists must cost no more than another.
        found = await unit.session.exec(
            select(User.id, User.password_hash).where(
                or_(User.username_key == key, User.email_key == key)
            )
        )
        row = found.first()
    return _Account(*row) if row else None


async def _begin(
    context: AuthContext,
    account: _Account,
    renewed: str | None,
    device_id: UUID | None,
    origin: LoginOrigin,
) -> Session | None:
    """Begin a session; None where the password changed since it was looked at."""
    async with context.work.begin() as unit:
        user = await unit.get(User, account.id, lock=True)
        if user is None or user.password_hash != account.password_hash:
            return None
        if renewed:
            user.password_hash = renewed
        if device_id is not None:
            device = await unit.get(Device, device_id)
            if device is None or device.user_id != user.id:
                raise InvalidRequest("device_id isn't one of your devices")
        await sessions.make_room(unit, context.settings, UserId(user.id))
        session = Session(
            user_id=user.id,
            device_id=device_id,
            refresh_key=refresh.new_key(),
            address=origin.address,
            user_agent=origin.user_agent,
            created_at=unit.now,
            last_used_at=unit.now,
            rotated_at=unit.now,
        )
        unit.add(session)
        unit.log("logged_in", user_id=str(user.id), session_id=str(session.id))
    return session


def _tokens_of(session: Session, keyring: Keyring) -> TokenRead:
    issued = keyring.issuer().access_token(
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
