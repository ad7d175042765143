"""Sessions: the logins of a user."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Body
from pydantic import BaseModel, Field

from sharezync_auth.api.dependencies import Context
from sharezync_auth.schemas import SessionRead
from sharezync_auth.usecases import sessions
from sharezync_auth.usecases.sessions import Scope
from sharezync_shared.examples import examples
from sharezync_shared.problems import NotFound, Unauthenticated, problems
from sharezync_shared.tokens.dependencies import Caller

router = APIRouter(tags=["authentication"])


class Logout(BaseModel):
    """The sessions to end."""

    model_config = examples(
        {"scope": "local"},
        {"scope": "global"},
    )

    scope: Scope = Field(
        "local",
        description="`local`: the current session. `others`: all except the current one. "
        "`global`: all",
    )


class SessionList(BaseModel):
    """Active sessions of a user."""

    items: list[SessionRead]
    next: None = Field(None, description="Always null: there is only one page")


@router.post(
    "/v1/auth/logout", status_code=204, summary="Log out", responses=problems(Unauthenticated)
)
async def log_out(
    caller: Caller, context: Context, body: Annotated[Logout | None, Body()] = None
) -> None:
    """Ends the current session, or those that `scope` names. Within a second their tokens are
    refused and their WebSocket connections are closed.
    """
    await sessions.log_out(context.work, caller, (body or Logout()).scope)


@router.get("/v1/auth/sessions", summary="List your sessions", responses=problems(Unauthenticated))
async def list_sessions(caller: Caller, context: Context) -> SessionList:
    """Returns your active sessions, most recently used first; at most 500."""
    return SessionList(items=await sessions.list_own(context, caller))


@router.delete(
    "/v1/auth/sessions/{session_id}",
    status_code=204,
    summary="Revoke a session",
    responses=problems(Unauthenticated, NotFound),
)
async def revoke_session(session_id: UUID, caller: Caller, context: Context) -> None:
    """Ends one of your sessions. Within a second its tokens are refused and its WebSocket
    connections are closed. Returns 404 if the session has ended already.
    """
    await sessions.revoke(context.work, caller.user_id, session_id)
