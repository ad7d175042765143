"""Logins: what lists them and what ends them."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, Literal, NamedTuple, Self
from uuid import UUID

from sqlalchemy import ColumnElement
from sqlmodel import and_, col, select

from sharezync_auth import access
from sharezync_auth.models import Device, Session, account_stream
from sharezync_auth.schemas import SessionRead, SessionRevokedRead
from sharezync_auth.settings import AuthSettings
from sharezync_auth.usecases import nodes
from sharezync_auth.usecases.context import AuthContext
from sharezync_shared.contracts.auth import RevocationList
from sharezync_shared.events import contracts as facts
from sharezync_shared.ids import SessionId, UserId
from sharezync_shared.streams.frames import Control
from sharezync_shared.streams.log import Entry
from sharezync_shared.tokens.claims import Identity
from sharezync_shared.work import UnitOfWork, UnitsOfWork, to_json

ENDED_KEPT: Final = 500
"""Logins of one user that are over, of which the reason is known. Without an end a script that logs
in and out would fill the table for a month."""

# Not one whose tokens may still be shown: gateways learn of it from these rows.
_FORGET_ENDED: Final = """
    DELETE FROM auth.sessions WHERE id IN (
        SELECT id FROM auth.sessions WHERE user_id = $1 AND revoked_at IS NOT NULL
         ORDER BY revoked_at DESC OFFSET $2)
       AND revoked_at < $3
"""
_REVOKED: Final = """
    SELECT id, true AS is_session FROM auth.sessions WHERE revoked_at >= $1
    UNION ALL
    SELECT user_id, false FROM auth.deleted_users WHERE deleted_at >= $1
"""

_FORGET_ALL_SECONDS: Final = 600.0

Scope = Literal["local", "others", "global"]
Reason = Literal[
    "logged_out",
    "revoked",
    "password_changed",
    "device_removed",
    "token_reused",
    "tokens_spent",
    "too_many",
    "account_deleted",
]


class Lifespan(NamedTuple):
    """Which logins have not run out: those used after `idle_since` and begun after `begun_since`.

    Nobody ends one that has run out. It does nothing any more, and is swept.
    """

    idle_since: datetime
    begun_since: datetime

    @classmethod
    def at(cls, now: datetime, settings: AuthSettings) -> Self:
        return cls(
            now - timedelta(days=settings.session_idle_days),
            now - timedelta(days=settings.session_max_days),
        )

    def holds(self, session: Session) -> bool:
        return session.last_used_at > self.idle_since and session.created_at > self.begun_since

    def condition(self) -> ColumnElement[bool]:
        return and_(
            col(Session.last_used_at) > self.idle_since, col(Session.created_at) > self.begun_since
        )


def lives(session: Session, now: datetime, settings: AuthSettings) -> bool:
    return session.revoked_at is None and Lifespan.at(now, settings).holds(session)


async def list_own(context: AuthContext, caller: Identity) -> list[SessionRead]:
    """Return the caller's logins that have neither ended nor run out, the latest first."""
    settings = context.settings
    async with context.work.read() as unit:
        rows = await unit.session.exec(
            select(Session, Device, nodes.last_heard())
            .join(Device, col(Session.device_id) == Device.id, isouter=True)
            .where(Session.user_id == caller.user_id, col(Session.revoked_at).is_(None))
            .where(Lifespan.at(unit.now, settings).condition())
            .order_by(col(Session.last_used_at).desc(), col(Session.id).desc())
        )
        items = []
        for session, found, heard_at in rows:
            device: Device | None = found  # the join is an outer one
            seen = device and nodes.describe(settings, device, heard_at, unit.now)
            current = session.id == caller.session_id
            items.append(SessionRead(**session.model_dump(), device=seen, current=current))
        return items


async def make_room(unit: UnitOfWork, settings: AuthSettings, user_id: UserId) -> None:
    """See to it that a user may log in once more: the least recently used logins end.

    Many that ended before are forgotten. Call it with the account held, before the new login is
    added: two at once count each other.
    """
    mine = (
        select(Session.id)
        .where(Session.user_id == user_id, col(Session.revoked_at).is_(None))
        .where(Lifespan.at(unit.now, settings).condition())
        .order_by(col(Session.last_used_at).desc(), col(Session.id).desc())
        .offset(settings.sessions_per_user - 1)
    )
    if beyond := (await unit.session.exec(mine)).all():
        await end(unit, await _locked(unit, col(Session.id).in_(beyond)), "too_many")
    long_over = unit.now - 2 * timedelta(minutes=settings.access_token_expire_minutes)
    connection = await unit.raw()
    await connection.execute(_FORGET_ENDED, user_id, ENDED_KEPT, long_over)


async def revoke(work: UnitsOfWork, user_id: UserId, session_id: UUID) -> None:
    """End one of the caller's own logins. Raises NotFound where it has ended before."""
    async with work.begin() as unit:
        await end(unit, [await access.session_to_end(unit, user_id, session_id)], "revoked")


async def log_out(work: UnitsOfWork, caller: Identity, scope: Scope) -> None:
    """End this login, all others, or all. Safe to repeat."""
    async with work.begin() as unit:
        living = await living_of(unit, caller.user_id)
        chosen = {
            "local": [s for s in living if s.id == caller.session_id],
            "others": [s for s in living if s.id != caller.session_id],
            "global": living,
        }[scope]
        await end(unit, chosen, "logged_out")


async def forget_all(work: UnitsOfWork) -> int:
    """Delete every login; return how many there were. Nobody is told: refreshing is refused."""
    async with work.begin() as unit:
        connection = await unit.raw()
        await connection.execute("SET LOCAL statement_timeout = 0")
        done = await connection.execute("DELETE FROM auth.sessions", timeout=_FORGET_ALL_SECONDS)
    return int(done.rpartition(" ")[2])


async def living_of(unit: UnitOfWork, user_id: UserId) -> list[Session]:
    """Return a user's logins that have not ended, held until the commit."""
    return await _locked(unit, col(Session.user_id) == user_id)


async def _locked(unit: UnitOfWork, condition: ColumnElement[bool]) -> list[Session]:
    statement = (
        select(Session)
        .where(condition, col(Session.revoked_at).is_(None))
        .order_by(col(Session.id))
        .with_for_update()
    )
    return list((await unit.session.exec(statement)).all())


async def end(unit: UnitOfWork, sessions: Sequence[Session], reason: Reason) -> None:
    """End these logins of one user: their tokens are refused and their sockets closed."""
    for session in sessions:
        session.revoked_at = unit.now
        session.revoked_because = reason
        unit.add(session)
        unit.log(
            "session_ended",
            user_id=str(session.user_id),
            session_id=str(session.id),
            reason=reason,
        )
        unit.emit(
            facts.SessionRevoked(user_id=UserId(session.user_id), session_id=SessionId(session.id))
        )
    await unit.publish_events(
        [
            Entry(
                account_stream(session.user_id),
                "session.revoked",
                to_json(SessionRevokedRead(session_id=session.id, reason=reason)),
                Control(revoke_sessions=[str(session.id)]),
            )
            for session in sessions
        ]
    )


async def revoked_within(work: UnitsOfWork, seconds: int) -> RevocationList:
    """Return the logins that ended, and the users who went, within the last `seconds`.

    Every gateway asks twice a second: one plain statement over two indexes.
    """
    since = work.now() - timedelta(seconds=seconds)
    pool = await work.database.pool()
    rows = await pool.fetch(_REVOKED, since)
    return RevocationList(
        sessions=[row["id"] for row in rows if row["is_session"]],
        users=[row["id"] for row in rows if not row["is_session"]],
    )
