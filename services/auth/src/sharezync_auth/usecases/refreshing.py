"""The refresh_token grant: a session goes on, or ends because its token was stolen."""

from datetime import datetime, timedelta

import structlog

from sharezync_auth import refresh
from sharezync_auth.keyring import Keyring
from sharezync_auth.models import Session
from sharezync_auth.settings import AuthSettings
from sharezync_auth.usecases import sessions, tokens
from sharezync_auth.usecases.logins import Origin
from sharezync_auth.usecases.tokens import InvalidGrant, TokenRead
from sharezync_shared.db.work import Work

log = structlog.get_logger()


async def go_on(
    work: Work, keyring: Keyring, settings: AuthSettings, *, token: str, origin: Origin
) -> TokenRead:
    """Go on with a session. Raises InvalidGrant.

    The reuse of an old token ends the session, and that is committed although it is refused.
    """
    parsed = refresh.parse(token)
    if parsed is None:
        raise InvalidGrant("The refresh token is not valid")
    async with work.begin() as unit:
        session = await unit.get(Session, parsed.session_id, lock=True)
        verdict = session and refresh.judge(
            parsed, key=session.refresh_key, counter=session.counter
        )
        if session is None or verdict is None or not _lives(session, unit.now, settings):
            raise InvalidGrant("The refresh token is not valid")
        if verdict is refresh.Verdict.REUSED:
            log.warning("refresh_token_reused", session_id=str(session.id))
            await sessions.end(unit, [session], "token_reused")
        else:
            if verdict is refresh.Verdict.CURRENT:
                session.counter += 1
                session.rotated_at = unit.now
            session.last_used_at = unit.now
            session.address, session.user_agent = origin.address, origin.user_agent
    if verdict is refresh.Verdict.REUSED:
        raise InvalidGrant("The refresh token was used before; the session has ended")
    return tokens.for_session(keyring, session)


def _lives(session: Session, now: datetime, settings: AuthSettings) -> bool:
    return (
        session.revoked_at is None
        and now - session.last_used_at < timedelta(days=settings.session_idle_days)
        and now - session.created_at < timedelta(days=settings.session_max_days)
    )
