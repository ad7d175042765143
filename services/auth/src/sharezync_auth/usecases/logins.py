"""The password grant: a session begins."""

from dataclasses import dataclass
from uuid import UUID

from sqlmodel import or_, select

from sharezync_auth import refresh
from sharezync_auth.keyring import Keyring
from sharezync_auth.models import Device, Session, User
from sharezync_auth.names import key_of
from sharezync_auth.passwords import MAX_BYTES, Passwords
from sharezync_auth.usecases import tokens
from sharezync_auth.usecases.tokens import InvalidGrant, InvalidRequest, TokenRead
from sharezync_shared.db.work import Work


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a request came from."""

    address: str
    user_agent: str


async def log_in(
    work: Work,
    passwords: Passwords,
    keyring: Keyring,
    *,
    username: str,
    password: str,
    device_id: UUID | None,
    origin: Origin,
) -> TokenRead:
    """Begin a session. `username` may be the e-mail address.

    Unknown, wrong and overlong are all told alike, after the same work. Raises InvalidGrant.
    """
    async with work.read() as unit:
        key = key_of(username)
        found = await unit.session.exec(
            select(User).where(or_(User.username_key == key, User.email_key == key))
        )
        user = found.first()
    if len(password.encode()) > MAX_BYTES:
        password, user = "", None
    right, renewed = await passwords.verify(password, user.password_hash if user else None)
    if user is None or not right:
        raise InvalidGrant("Wrong username or password")
    async with work.begin() as unit:
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
            rotated_at=unit.now,
        )
        unit.add(session)
    return tokens.for_session(keyring, session)
