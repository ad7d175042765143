"""Logins: what lists them and what ends them."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Literal
from uuid import UUID

from sqlmodel import col, select

from sharezync_auth import access
from sharezync_auth.models import DeletedUser, Device, Session, account_stream
from sharezync_auth.usecases import nodes
from sharezync_auth.wire import SessionRead, SessionRevoked
from sharezync_shared.db.work import Unit, Work, to_json
from sharezync_shared.events.contracts import auth as facts
from sharezync_shared.ids import SessionId, UserId
from sharezync_shared.streams.frames import Control
from sharezync_shared.streams.log import Entry

Scope = Literal["local", "others", "global"]
Reason = Literal[
    "logged_out", "revoked", "password_changed", "device_removed", "token_reused", "account_deleted"
]


async def list_own(
    work: Work, *, user_id: UserId, current: SessionId, lease_seconds: float
) -> list[SessionRead]:
    """Return the caller's logins that have not ended, the latest first."""
    async with work.read() as unit:
        rows = await unit.session.exec(
            select(Session, Device, nodes.last_heard())
            .join(Device, col(Session.device_id) == Device.id, isouter=True)
            .where(Session.user_id == user_id, col(Session.revoked_at).is_(None))
            .order_by(col(Session.last_used_at).desc())
        )
        items = []
        for session, found, heard_at in rows:
            device: Device | None = found  # the join is an outer one
            seen = (
                None
                if device is None
                else nodes.describe(device, heard_at, unit.now, lease_seconds)
            )
            items.append(SessionRead.of(session, seen, current=session.id == current))
        return items


async def revoke(work: Work, *, user_id: UserId, session_id: UUID) -> None:
    """End one of the caller's own logins. Raises NotFound where it has ended before."""
    async with work.begin() as unit:
        await end(unit, [await access.session_to_end(unit, user_id, session_id)], "revoked")


async def log_out(work: Work, *, user_id: UserId, current: SessionId, scope: Scope) -> None:
    """End this login, all others, or all. Safe to repeat."""
    async with work.begin() as unit:
        living = await living_of(unit, user_id)
        chosen = {
            "local": [s for s in living if s.id == current],
            "others": [s for s in living if s.id != current],
            "global": living,
        }[scope]
        await end(unit, chosen, "logged_out")


async def living_of(unit: Unit, user_id: UserId) -> list[Session]:
    """Return a user's logins that have not ended, held until the commit."""
    statement = (
        select(Session)
        .where(Session.user_id == user_id, col(Session.revoked_at).is_(None))
        .order_by(col(Session.id))
        .with_for_update()
    )
    return list((await unit.session.exec(statement)).all())


async def end(unit: Unit, sessions: Sequence[Session], reason: Reason) -> None:
    """End these logins of one user: their tokens are refused and their sockets closed."""
    for session in sessions:
        session.revoked_at = unit.now
        session.revoked_because = reason
        unit.add(session)
        unit.emit(
            facts.SessionRevoked(user_id=UserId(session.user_id), session_id=SessionId(session.id))
        )
    await unit.tell_all(
        [
            Entry(
                account_stream(session.user_id),
                "session.revoked",
                to_json(SessionRevoked(session_id=session.id, reason=reason)),
                Control(revoke_sessions=[str(session.id)]),
            )
            for session in sessions
        ]
    )


async def revoked_within(work: Work, *, seconds: int) -> tuple[list[UUID], list[UUID]]:
    """Return the logins that ended, and the users who went, within the last `seconds`."""
    async with work.read() as unit:
        since = unit.now - timedelta(seconds=seconds)
        ended = await unit.session.exec(select(Session.id).where(col(Session.revoked_at) >= since))
        gone = await unit.session.exec(
            select(DeletedUser.user_id).where(DeletedUser.deleted_at >= since)
        )
        return list(ended.all()), list(gone.all())
