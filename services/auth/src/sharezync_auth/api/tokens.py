"""The token endpoint (RFC 6749 §3.2) and the keys that its tokens are verified with."""

from dataclasses import dataclass
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Form, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from sharezync_auth.api.dependencies import (
    KeyringDep,
    OriginDep,
    PasswordsDep,
    SettingsDep,
    WorkDep,
)
from sharezync_auth.keyring import Keyring
from sharezync_auth.passwords import Passwords
from sharezync_auth.settings import AuthSettings
from sharezync_auth.usecases import clients, logins, refreshing, tokens
from sharezync_auth.usecases.logins import Origin
from sharezync_auth.usecases.tokens import (
    GrantRefused,
    InvalidClient,
    InvalidGrant,
    InvalidRequest,
    TokenRead,
    UnsupportedGrant,
)
from sharezync_shared.db.work import Work
from sharezync_shared.problems import Unavailable, document, problems

router = APIRouter(tags=["tokens"])

_JWKS_MAX_AGE_SECONDS = 300
_MAX_FIELD = 1024
# RFC 6749 §5.1: nobody on the way may keep an answer with tokens in it.
_NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}


@dataclass(frozen=True, slots=True)
class GrantParts:
    """What the grants need."""

    work: Work
    settings: AuthSettings
    passwords: Passwords
    keyring: Keyring


def _parts(
    work: WorkDep, settings: SettingsDep, passwords: PasswordsDep, keyring: KeyringDep
) -> GrantParts:
    return GrantParts(work, settings, passwords, keyring)


GrantPartsDep = Annotated[GrantParts, Depends(_parts)]


class TokenForm(BaseModel):
    """The parameters of all grants; a parameter without a value counts as omitted (§3.2)."""

    grant_type: str | None = Field(None, examples=["password"])
    username: str | None = Field(None, examples=["ada"])
    password: str | None = Field(None, examples=["correct horse battery staple"])
    refresh_token: str | None = None
    client_id: str | None = None
    client_secret: str | None = None
    device_id: str | None = None
    scope: str | None = Field(None, description="Taken and ignored: a grant has one scope")


def _refusal(problem: GrantRefused) -> Response:
    """Return the error as RFC 6749 §5.2 asks, with the members of our problems beside."""
    body = {"error": problem.error, "error_description": problem.detail or problem.title}
    return JSONResponse(
        {**document(problem), **body},
        status_code=problem.status,
        headers={**problem.headers, **_NO_STORE},
    )


@router.post(
    "/token",
    summary="Get tokens (OAuth2)",
    response_model=TokenRead,
    responses=problems(InvalidRequest, InvalidGrant, UnsupportedGrant, InvalidClient, Unavailable),
)
@router.post("/v1/auth/token", include_in_schema=False, response_model=TokenRead)
async def post_token(
    request: Request,
    response: Response,
    parts: GrantPartsDep,
    origin: OriginDep,
    form: Annotated[TokenForm, Form()],
) -> Any:  # noqa: ANN401 - TokenRead, or a refusal in the RFC's form
    """Three grants, form-encoded.

    - `password`: `username` (or the e-mail address) and `password`, for our own frontends;
      with `device_id` the session belongs to that device and ends with it.
    - `refresh_token`: the latest `refresh_token`. Each one is good once; the previous one is
      answered with the current one again, in case the answer was lost. An older one means theft:
      the session ends.
    - `client_credentials`: `client_id` and `client_secret`, for services.

    Refusals carry `error` and `error_description` of RFC 6749 §5.2.
    """
    response.headers.update(_NO_STORE)
    try:
        await _refuse_doubles(request)
        given = {name: value for name, value in form.model_dump().items() if value}
        if any(len(value) > _MAX_FIELD or "\x00" in value for value in given.values()):
            raise InvalidRequest("A parameter is too long, or holds a NUL character")
        return await _grant(parts, given, origin)
    except GrantRefused as refused:
        return _refusal(refused)


async def _refuse_doubles(request: Request) -> None:
    """RFC 6749 §3.2: parameters must not be included more than once."""
    names = [name for name, _ in (await request.form()).multi_items()]
    if len(names) != len(set(names)):
        raise InvalidRequest("A parameter is given twice")


async def _grant(parts: GrantParts, given: dict[str, str], origin: Origin) -> TokenRead:
    def need(name: str) -> str:
        if name not in given:
            raise InvalidRequest(f"{name} is missing")
        return given[name]

    match need("grant_type"):
        case "password":
            return await logins.log_in(
                parts.work,
                parts.passwords,
                parts.keyring,
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
            name = clients.identify(
                parts.settings, client_id=need("client_id"), secret=need("client_secret")
            )
            return tokens.for_service(parts.keyring, name)
        case _:
            raise UnsupportedGrant


def _uuid(text: str | None) -> UUID | None:
    try:
        return UUID(text) if text else None
    except ValueError as error:
        raise InvalidRequest("device_id is not an id") from error


@router.get("/.well-known/jwks.json", summary="The public keys of access tokens")
async def get_jwks(response: Response, keyring: KeyringDep) -> dict[str, list[dict[str, str]]]:
    """A JWK set (RFC 7517). Empty where tokens are signed with one shared secret."""
    response.headers["Cache-Control"] = f"public, max-age={_JWKS_MAX_AGE_SECONDS}"
    return keyring.jwks()
