"""Logins."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Body
from pydantic import BaseModel

from sharezync_auth.api.dependencies import SettingsDep, WorkDep
from sharezync_auth.usecases import sessions
from sharezync_auth.usecases.sessions import Scope
from sharezync_auth.wire import SessionRead
from sharezync_shared.problems import NotFound, Unauthenticated, problems
from sharezync_shared.tokens.dependencies import Caller

router = APIRouter(tags=["sessions"])


class Logout(BaseModel):
    """`local`: this login; `others`: all but this; `global`: all."""

    scope: Scope = "local"


class SessionList(BaseModel):
    items: list[SessionRead]
    next: None = None


@router.post(
    "/v1/auth/logout", status_code=204, summary="Log out", responses=problems(Unauthenticated)
)
async def log_out(
    caller: Caller, work: WorkDep, body: Annotated[Logout | None, Body()] = None
) -> None:
    """Tokens of the logins that end are refused, and their sockets close, within a second."""
    await sessions.log_out(
        work,
        user_id=caller.user_id,
        current=caller.session_id,
        scope=(body or Logout()).scope,
    )


@router.get("/v1/auth/sessions", summary="One's own logins", responses=problems(Unauthenticated))
async def list_sessions(caller: Caller, work: WorkDep, settings: SettingsDep) -> SessionList:
    """Those that have neither ended nor run out, the latest used first; at most 500."""
    return SessionList(
        items=await sessions.list_own(
            work, settings, user_id=caller.user_id, current=caller.session_id
        )
    )


@router.delete(
    "/v1/auth/sessions/{session_id}",
    status_code=204,
    summary="End one of one's own logins",
    responses=problems(Unauthenticated, NotFound),
)
async def delete_session(session_id: UUID, caller: Caller, work: WorkDep) -> None:
    """Its tokens are refused, and its sockets closed, within a second. 404 where it has ended."""
    await sessions.revoke(work, user_id=caller.user_id, session_id=session_id)
