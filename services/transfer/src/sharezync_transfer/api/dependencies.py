"""What routes are given: the parts of transfer, the caller, and inputs that many of them read."""

from typing import Annotated, Final
from uuid import UUID

from fastapi import Depends, Query, Request, Security
from fastapi.openapi.models import HTTPBase, OAuth2, OAuthFlowPassword, OAuthFlows
from fastapi.openapi.models import SecurityBase as SecurityModel
from fastapi.security.base import SecurityBase

from sharezync_shared.contracts.transfer import CapabilityRefused
from sharezync_shared.problems import Unauthenticated
from sharezync_shared.ranges import Pair, Ranges
from sharezync_shared.tokens.dependencies import TOKEN_URL, Caller, bearer_token
from sharezync_transfer.access import Actor
from sharezync_transfer.models import USERS, TransferId
from sharezync_transfer.usecases.context import TransferServiceContext

_SCHEME: Final = b"transfer"
_CHALLENGE: Final = 'Bearer, Transfer error="invalid_token"'


async def _context(request: Request) -> TransferServiceContext:
    context: TransferServiceContext = request.app.state.context
    return context


Context = Annotated[TransferServiceContext, Depends(_context)]


async def _actor(caller: Caller) -> Actor:
    return Actor(caller.user_id, caller.device_id)


async def _known_actor(caller: Caller, context: Context) -> Actor:
    await USERS.require_caller(context.work, context.services.auth, caller.user_id)
    return await _actor(caller)


CallingActor = Annotated[Actor, Depends(_actor)]
"""The caller, on the device that their login named."""

KnownActor = Annotated[Actor, Depends(_known_actor)]
"""The same, whose names transfer knows: for routes that make them the sender of something."""


class _Scheme(SecurityBase):
    """A row of OpenAPI's `security`, and nothing else: which of them it is `_presented` finds."""

    def __init__(self, name: str, model: SecurityModel) -> None:
        self.scheme_name = name
        self.model = model

    async def __call__(self) -> None:
        return None


_USER: Final = _Scheme(
    "user", OAuth2(flows=OAuthFlows(password=OAuthFlowPassword(tokenUrl=TOKEN_URL)))
)
_TRANSFER: Final = _Scheme(
    "transfer",
    HTTPBase(
        scheme="transfer",
        description="A capability token of one transfer, from creating or accepting it or from "
        "`POST /v1/transfers/{id}/token`: `Authorization: Transfer szt1.…`",
    ),
)


async def _presented(
    request: Request,
    transfer_id: TransferId,
    context: Context,
    _: Annotated[None, Security(_USER)],
    __: Annotated[None, Security(_TRANSFER)],
) -> Actor:
    headers = request.scope["headers"]
    shown = [value for name, value in headers if name == b"authorization"]
    scheme, _space, token = (shown[0] if len(shown) == 1 else b"").partition(b" ")
    if scheme.lower() != _SCHEME:
        caller = await request.app.state.verifier.verify(bearer_token(headers))
        return Actor(caller.user_id, caller.device_id)
    try:
        return await context.capabilities.admit(token.strip().decode("latin-1"), transfer_id)
    except CapabilityRefused as refused:
        raise Unauthenticated(refused.detail, headers={"WWW-Authenticate": _CHALLENGE}) from refused


PresentedActor = Annotated[Actor, Depends(_presented)]
"""The caller by access token, or whoever a capability token for this transfer speaks for."""


Limit = Annotated[int, Query(ge=1, le=100, description="Maximum number of items")]
Cursor = Annotated[UUID | None, Query(description="`next` of the previous page")]


def ranges_of(found: dict[int, list[Pair]]) -> dict[int, Ranges]:
    return {index: Ranges(pairs) for index, pairs in found.items()}
