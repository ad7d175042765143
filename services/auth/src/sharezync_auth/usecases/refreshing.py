"""The refresh_token grant: a session goes on, or ends because its token was stolen."""

from datetime import datetime
from typing import Final

import structlog

from sharezync_auth import refresh
from sharezync_auth.errors import InvalidGrant
from sharezync_auth.keyring import Keyring
from sharezync_auth.models import Session
from sharezync_auth.refresh import RefreshVerdict
from sharezync_auth.settings import AuthSettings
from sharezync_auth.usecases import sessions, tokens
from sharezync_auth.usecases.logins import LoginOrigin
from sharezync_auth.usecases.sessions import Reason
from sharezync_auth.usecases.tokens import TokenRead
from sharezync_shared.work import UnitsOfWork

log = structlog.get_logger()

_ENDS: Final[dict[RefreshVerdict, Reason]] = {
    RefreshVerdict.REUSED: "token_reused",
    RefreshVerdict.SPENT: "tokens_spent",
}


async def go_on(
    work: UnitsOfWork, keyring: Keyring, settings: AuthSettings, *, token: str, origin: LoginOrigin
) -> TokenRead:
    """Go on with a session. Raises InvalidGrant; why exactly is nobody's business.

    What each token is good for stands in `refresh.py`. One that shows a theft ends the session,
    and that is committed although it is refused. Requests with the same token wait for each other,
    so two at once get the same answer.
    """
    parsed = refresh.parse(token)
    if parsed is None:
        raise InvalidGrant("The refresh token is not valid")
    async with work.begin() as unit:
        session = await unit.get(Session, parsed.session_id, lock=True)
        verdict = None
        if session is not None and sessions.lives(session, unit.now, settings):
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
            log.warning("refresh_ended_session", session_id=str(session.id), verdict=verdict.name)
            await sessions.end(unit, [session], _ENDS[verdict])
        else:
            _step(session, verdict, unit.now, origin)
    if verdict in _ENDS:  # outside of the unit: raised inside, it would undo the end
        raise InvalidGrant("The refresh token is not valid")
    return tokens.for_session(keyring, session)


def _step(session: Session, verdict: RefreshVerdict, now: datetime, origin: LoginOrigin) -> None:
    if verdict is RefreshVerdict.CURRENT:
        session.counter += 1
        session.rotated_at = now
    elif verdict is RefreshVerdict.PREVIOUS_LATE:
        session.late_grace_counter = session.counter
    session.last_used_at = now
    session.address, session.user_agent = origin.address, origin.user_agent
