"""The password grant: a session begins."""

from dataclasses import dataclass
from typing import Final, NamedTuple
from uuid import UUID

from sqlmodel import or_, select

from sharezync_auth import refresh
from sharezync_auth.errors import InvalidGrant, InvalidRequest
from sharezync_auth.keyring import Keyring
from sharezync_auth.models import Device, Session, User
from sharezync_auth.names import email_key
from sharezync_auth.settings import AuthSettings
from sharezync_auth.usecases import sessions, tokens
from sharezync_auth.usecases.throttling import LoginAttempt, LoginThrottle
from sharezync_auth.usecases.tokens import TokenRead
from sharezync_shared.ids import UserId
from sharezync_shared.work import UnitsOfWork


@dataclass(frozen=True, slots=True)
class LoginOrigin:
    """Where a request came from."""

    address: str
    user_agent: str


_LOOKS: Final = 3
"""A right password is checked once more when its hash has changed meanwhile: so have two logins at
once with a hash that is renewed."""


class _Account(NamedTuple):
    id: UUID
    password_hash: str


async def log_in(
    work: UnitsOfWork,
    guard: LoginThrottle,
    keyring: Keyring,
    settings: AuthSettings,
    *,
    username: str,
    password: str,
    device_id: UUID | None,
    origin: LoginOrigin,
) -> TokenRead:
    """Begin a session. `username` may be the e-mail address; spaces around it don't count.

    Unknown, wrong and overlong get the same answer, after the same work. Raises InvalidGrant;
    TooManyTries or Unavailable where nobody looked at the password.
    """
    for _ in range(_LOOKS):
        account = await _find(work, username)
        trial = LoginAttempt.of_login(
            username=username, user_id=account and account.id, address=origin.address
        )
        stored = account and account.password_hash
        right, renewed = await guard.check(work, trial, password=password, stored=stored)
        if account is None or not right:
            break
        session = await _begin(
            work, settings, account, renewed=renewed, device_id=device_id, origin=origin
        )
        if session is not None:
            return tokens.for_session(keyring, session)
    raise InvalidGrant("Wrong username or password")


async def _find(work: UnitsOfWork, username: str) -> _Account | None:
    key = email_key(username)  # of a name as well
    async with work.read() as unit:
        # Two columns, no object of ours: a name that exists must cost no more than another.
        found = await unit.session.exec(
            select(User.id, User.password_hash).where(
                or_(User.username_key == key, User.email_key == key)
            )
        )
        row = found.first()
    return _Account(*row) if row else None


async def _begin(
    work: UnitsOfWork,
    settings: AuthSettings,
    account: _Account,
    *,
    renewed: str | None,
    device_id: UUID | None,
    origin: LoginOrigin,
) -> Session | None:
    """Begin a session; None where the password changed since it was looked at."""
    async with work.begin() as unit:
        user = await unit.get(User, account.id, lock=True)
        if user is None or user.password_hash != account.password_hash:
            return None
        if renewed:
            user.password_hash = renewed
        if device_id is not None:
            device = await unit.get(Device, device_id)
            if device is None or device.user_id != user.id:
                raise InvalidRequest("device_id isn't one of your devices")
        await sessions.make_room(unit, settings, UserId(user.id))
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
    return session
