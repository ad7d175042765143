"""The token endpoint (RFC 6749 §3.2)."""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Form, Request, Response
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from sharezync_auth.api.client_secrets import shown_secret
from sharezync_auth.api.dependencies import (
    GuardDep,
    KeyringDep,
    OriginDep,
    SettingsDep,
    WorkDep,
)
from sharezync_auth.api.grant_errors import grant_error, grant_errors
from sharezync_auth.keyring import Keyring
from sharezync_auth.settings import AuthSettings
from sharezync_auth.usecases import clients, logins, refreshing, tokens
from sharezync_auth.usecases.logins import Origin
from sharezync_auth.usecases.throttling import Guard, TooManyTries
from sharezync_auth.usecases.tokens import (
    GrantRefused,
    InvalidClient,
    InvalidGrant,
    InvalidRequest,
    TokenRead,
    UnsupportedGrant,
)
from sharezync_shared.db.work import Work
from sharezync_shared.names.policies import Parsed
from sharezync_shared.problems import Problem, Unavailable, problem_response, problems

_FORM = "application/x-www-form-urlencoded"
_MAX_FIELD = 1024
# RFC 6749 §5.1: nobody on the way may keep an answer with tokens in it.
_NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}


@dataclass(frozen=True, slots=True)
class GrantParts:
    """What the grants need."""

    work: Work
    settings: AuthSettings
    guard: Guard
    keyring: Keyring


async def _parts(
    work: WorkDep, settings: SettingsDep, guard: GuardDep, keyring: KeyringDep
) -> GrantParts:
    return GrantParts(work, settings, guard, keyring)


GrantPartsDep = Annotated[GrantParts, Depends(_parts)]


class TokenForm(BaseModel):
    """The parameters of all grants; a parameter without a value counts as omitted (§3.2)."""

    grant_type: Parsed | None = Field(None, examples=["password"])
    username: Parsed | None = Field(None, examples=["ada"])
    password: Parsed | None = Field(None, examples=["correct horse battery staple"])
    refresh_token: Parsed | None = None
    client_id: Parsed | None = None
    client_secret: Parsed | None = None
    device_id: Parsed | None = None
    scope: Parsed | None = Field(None, description="Taken and ignored: a grant has one scope")


def _refusal(problem: GrantRefused) -> Response:
    """Return the error as RFC 6749 §5.2 asks, with the members of our problems beside."""
    return JSONResponse(
        grant_error(problem),
        status_code=problem.status,
        headers={**problem.headers, **_NO_STORE},
    )


class _TokenRoute(APIRoute):
    """Refuses in the RFC's form, and has nobody keep any answer."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """As APIRoute's; what FastAPI would refuse by itself is refused before it looks."""
        answer = super().get_route_handler()

        async def handle(request: Request) -> Response:
            try:
                await _refuse_malformed(request)
                return await answer(request)
            except GrantRefused as refused:
                return _refusal(refused)
            except HTTPException as error:
                if error.status_code != InvalidRequest.kind.value:
                    raise
                return _refusal(InvalidRequest(error.detail))  # Starlette's: more than 1000 fields
            except Problem as problem:
                response = problem_response(problem)
                response.headers.update(_NO_STORE)
                return response

        return handle


router = APIRouter(tags=["tokens"], route_class=_TokenRoute)


@router.post(
    "/token",
    summary="Get tokens (OAuth2)",
    response_model=TokenRead,
    response_model_exclude_none=True,
    responses={
        **grant_errors(InvalidRequest, InvalidGrant, UnsupportedGrant, InvalidClient, TooManyTries),
        **problems(Unavailable),
    },
)
@router.post(
    "/v1/auth/token",
    include_in_schema=False,
    response_model=TokenRead,
    response_model_exclude_none=True,
)
async def post_token(
    request: Request,
    response: Response,
    parts: GrantPartsDep,
    origin: OriginDep,
    form: Annotated[TokenForm, Form()],
) -> Any:  # noqa: ANN401 - TokenRead, or a refusal in the RFC's form
    """Three grants, form-encoded.

    - `password`: `username` (or the e-mail address) and `password`, for our own frontends;
      with `device_id` the session belongs to that device and ends with it. Wrong passwords make
      the next try wait: 429 with `Retry-After`, and nobody looked at that one.
    - `refresh_token`: the latest `refresh_token`. Each one is good once. In case the answer was
      lost, the one before is answered with the current one again: for a minute, and later unless
      that was needed the last time too. Anything else means theft: the session ends.
    - `client_credentials`, for services: `client_id` and `client_secret`, or HTTP Basic.

    Refusals carry `error` and `error_description` of RFC 6749 §5.2.
    """
    response.headers.update(_NO_STORE)
    given = {name: value for name, value in form.model_dump().items() if value}
    return await _grant(parts, given, origin, request.headers.getlist("authorization"))


async def _refuse_malformed(request: Request) -> None:
    """Raise InvalidRequest for a body in another form, and for what no parameter may be (§3.2)."""
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type != _FORM:
        raise InvalidRequest(f"The parameters must come as {_FORM}")
    pairs = (await request.form()).multi_items()
    names = [name for name, _ in pairs]
    if len(names) != len(set(names)):
        raise InvalidRequest("A parameter is given twice")
    values = [value for _, value in pairs if isinstance(value, str)]  # no file comes in this form
    if any(len(value) > _MAX_FIELD or "\x00" in value for value in values):
        raise InvalidRequest("A parameter is too long, or holds a NUL character")


async def _grant(
    parts: GrantParts, given: dict[str, str], origin: Origin, authorization: list[str]
) -> TokenRead:
    def need(name: str) -> str:
        if name not in given:
            raise InvalidRequest(f"{name} is missing")
        return given[name]

    match need("grant_type"):
        case "password":
            return await logins.log_in(
                parts.work,
                parts.guard,
                parts.keyring,
                parts.settings,
                username=need("username"),
                password=need("password"),
                device_id=_uuid(given.get("device_id")),
                origin=origin,
            )
        case "refresh_token":
            return await refreshing.go_on(
                parts.work,
                parts.keyring,
                parts.settings,
                token=need("refresh_token"),
                origin=origin,
            )
        case "client_credentials":
            # Here only: docs pages send an empty Basic with the password grant.
            shown = shown_secret(authorization, given)
            name = await clients.identify(
                parts.work, parts.settings, client_id=shown.client_id, secret=shown.secret
            )
            return tokens.for_service(parts.keyring, name)
        case _:
            raise UnsupportedGrant


def _uuid(text: str | None) -> UUID | None:
    try:
        return UUID(text) if text else None
    except ValueError as error:
        raise InvalidRequest("device_id is not an id") from error
