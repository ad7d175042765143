"""The present password, asked for before an account goes, or goes over into other hands.

A token alone must do neither: it may have leaked. The tries of one account and login are counted
together, whatever they were made for (`throttling.py`).
"""

from sharezync_auth import access
from sharezync_auth.errors import WrongPassword
from sharezync_auth.models import User
from sharezync_auth.usecases.throttling import LoginAttempt, LoginThrottle
from sharezync_shared.ids import SessionId, UserId
from sharezync_shared.work import UnitOfWork, UnitsOfWork


async def check_password(
    work: UnitsOfWork,
    guard: LoginThrottle,
    *,
    user_id: UserId,
    current_session: SessionId,
    password: str,
) -> str:
    """Return the stored hash that one's own password matches, for `confirmed_account`.

    Raises WrongPassword; TooManyTries or Unavailable where nobody looked at it.
    """
    async with work.read() as unit:
        stored = (await access.own_account(unit, user_id)).password_hash
    trial = LoginAttempt.of_session(user_id=user_id, session_id=current_session)
    right, _ = await guard.check(work, trial, password=password, stored=stored)
    if not right:
        raise WrongPassword
    return stored


async def confirmed_account(unit: UnitOfWork, user_id: UserId, checked: str) -> User:
    """Return one's own account, held until the commit, for which a password was checked.

    Raises WrongPassword where another one holds by now.
    """
    user = await access.own_account(unit, user_id, lock=True)
    if user.password_hash != checked:
        raise WrongPassword  # changed while we looked
    return user
