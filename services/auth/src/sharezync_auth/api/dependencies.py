"""What routes are given: the parts of auth, and where a caller is."""

from typing import Annotated

from fastapi import Depends, Request
from starlette.requests import HTTPConnection

from sharezync_auth.usecases.context import AuthContext
from sharezync_auth.usecases.grants import LoginOrigin
from sharezync_shared.addresses import address_of
from sharezync_shared.names.characters import one_line

_MAX_USER_AGENT = 200


async def _context(connection: HTTPConnection) -> AuthContext:
    context: AuthContext = connection.app.state.context
    return context


async def _origin(request: Request) -> LoginOrigin:
    agent = one_line(request.headers.get("user-agent", "")[:_MAX_USER_AGENT])
    return LoginOrigin(address=address_of(request), user_agent=agent)


Context = Annotated[AuthContext, Depends(_context)]
Origin = Annotated[LoginOrigin, Depends(_origin)]
