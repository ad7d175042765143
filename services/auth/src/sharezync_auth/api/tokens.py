"""The token endpoint (RFC 6749 §3.2), and how clients show their secrets to it (§2.3.1)."""

import base64
import binascii
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any
from urllib.parse import unquote_plus
from uuid import UUID

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from sharezync_auth import errors
from sharezync_auth.api.dependencies import Context, Origin
from sharezync_auth.errors import GrantRefused, InvalidClient, InvalidRequest, UnsupportedGrant
from sharezync_auth.usecases import clients, grants
from sharezync_auth.usecases.context import AuthContext
from sharezync_auth.usecases.grants import LoginOrigin, TokenRead
from sharezync_shared.examples import examples
from sharezync_shared.names.policies import Parsed
from sharezync_shared.problems import (
    Problem,
    ProblemDocument,
    Unavailable,
    document,
    problem_response,
    problems,
)

_FORM = "application/x-www-form-urlencoded"
_MAX_FIELD = 1024
# RFC 6749 §5.1: nobody on the way may keep an answer with tokens in it.
_NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}


@dataclass(frozen=True, slots=True)
class ShownSecret:
    """A client's name and what it shows to prove it; nothing is checked yet."""

    client_id: str
    secret: str = field(repr=False)


def shown_secret(authorization: Sequence[str], given: Mapping[str, str]) -> ShownSecret:
    """Return what the client shows, by its Authorization headers or by its parameters.

    Raises InvalidClient for nothing and for another scheme, InvalidRequest for both at once. A
    `client_id` beside Basic is no second proof, but must name the same client.
    """
    if len(authorization) > 1:
        raise InvalidRequest("The Authorization header is repeated")
    if not authorization or ("client_secret" in given and not _is_basic(authorization[0])):
        if "client_id" not in given or "client_secret" not in given:
            raise InvalidClient("client_id and client_secret, or HTTP Basic, are required")
        return ShownSecret(given["client_id"], given["client_secret"])
    shown = _basic(authorization[0])
    if "client_secret" in given:
        raise InvalidRequest("Use either HTTP Basic or client_secret, not both")
    if given.get("client_id", shown.client_id) != shown.client_id:
        raise InvalidRequest("client_id differs from the client in HTTP Basic")
    return shown


def _is_basic(header: str) -> bool:
    return header.partition(" ")[0].lower() == "basic"


def _basic(header: str) -> ShownSecret:
    if not _is_basic(header):
        raise InvalidClient("Use HTTP Basic, or client_id and client_secret")
    try:
        pair = base64.b64decode(header.partition(" ")[2].strip(), validate=True).decode()
    except (binascii.Error, ValueError) as error:
        raise InvalidClient("The Authorization header isn't valid HTTP Basic") from error
    client_id, colon, secret = pair.partition(":")
    if not colon:
        raise InvalidClient("The Authorization header isn't valid HTTP Basic")
    # Both are form-encoded before they are joined, so that an id may hold a colon.
    shown = ShownSecret(unquote_plus(client_id), unquote_plus(secret))
    if "\x00" in shown.client_id:
        raise InvalidClient("Unknown client")  # nor text that a database takes
    return shown


class TokenForm(BaseModel):
    """The parameters of all grants; a parameter without a value counts as omitted (§3.2)."""

    model_config = examples(
        {
            "grant_type": "password",
            "username": "ada",
            "password": "correct horse battery staple",
        },
        {"grant_type": "refresh_token", "refresh_token": "szr1.WyIwMTkz"},
    )

    grant_type: Parsed | None = Field(
        None,
        examples=["password"],
        description="`password`, `refresh_token` or `client_credentials`; `password` where it is "
        "left out and `username` and `password` are there",
    )
    username: Parsed | None = Field(
        None, examples=["ada"], description="With `password`: username or email address"
    )
    password: Parsed | None = Field(
        None,
        examples=["correct horse battery staple"],
        description="With `password`: password of the account",
    )
    refresh_token: Parsed | None = Field(
        None, description="With `refresh_token`: the latest refresh token of the session"
    )
    client_id: Parsed | None = Field(
        None, description="With `client_credentials`: name of the service"
    )
    client_secret: Parsed | None = Field(
        None, description="With `client_credentials`: secret of the service"
    )
    device_id: Parsed | None = Field(
        None, description="With `password`: device that the session belongs to and ends with"
    )
    scope: Parsed | None = Field(None, description="Ignored: every grant has exactly one scope")


class GrantError(ProblemDocument):
    """An error of the token endpoint: RFC 6749 §5.2 with the members of RFC 9457."""

    error: str = Field(
        examples=[errors.InvalidGrant.error], description="Error code of RFC 6749 §5.2"
    )
    error_description: str = Field(
        examples=["Wrong username or password"], description="What went wrong, for people to read"
    )


def _document(problem: GrantRefused) -> dict[str, Any]:
    """Return the error as RFC 6749 §5.2 asks, with the members of our problems beside."""
    described = problem.detail or problem.title
    return {**document(problem), "error": problem.error, "error_description": described}


def _refusal(problem: GrantRefused) -> Response:
    headers = {**problem.headers, **_NO_STORE}
    return JSONResponse(_document(problem), status_code=problem.status, headers=headers)


def _grant_errors(*types: type[GrantRefused]) -> dict[int | str, dict[str, Any]]:
    """Declare refusals as `problems` does, in the media type that the RFC asks for."""
    declared = problems(*types)
    for answer in declared.values():
        (content,) = answer["content"].values()
        for problem in types:
            if example := content["examples"].get(problem.slug):
                example["value"] = {**_document(problem()), **example["value"]}
        answer["model"] = GrantError
        answer["content"] = {"application/json": {"examples": content["examples"]}}
    return declared


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


router = APIRouter(tags=["authentication"], route_class=_TokenRoute)


@router.post(
    "/token",
    summary="Create a token (OAuth 2.0)",
    response_model=TokenRead,
    response_model_exclude_none=True,
    responses={
        **_grant_errors(
            InvalidRequest,
            errors.InvalidGrant,
            UnsupportedGrant,
            errors.InvalidClient,
            errors.TooManyTries,
        ),
        **problems(Unavailable),
    },
)
@router.post(
    "/v1/auth/token",
    include_in_schema=False,
    response_model=TokenRead,
    response_model_exclude_none=True,
)
async def create_token(
    request: Request,
    response: Response,
    context: Context,
    origin: Origin,
    form: Annotated[TokenForm, Form()],
) -> Any:  # noqa: ANN401 - TokenRead, or a refusal in the RFC's form
    """The token endpoint of OAuth 2.0. The body is form-encoded, and `grant_type` is one of:

    - `password`, also where it is left out: log in with `username` (or email address) and
      `password`. With `device_id` the session belongs to that device and ends with it. After wrong
      passwords, attempts are delayed: they are refused unchecked, with 429 and `Retry-After`.
    - `refresh_token`: exchange the latest `refresh_token` for new tokens. Each one can be used
      once. In case the response was lost, the previous one returns the current one again: within a
      minute, and later unless that happened the last time as well. Any other reuse counts as theft
      and ends the session.
    - `client_credentials`: for services, with `client_id` and `client_secret`, or HTTP Basic.

    Errors carry `error` and `error_description` as of RFC 6749 §5.2.
    """
    response.headers.update(_NO_STORE)
    given = {name: value for name, value in form.model_dump().items() if value}
    return await _grant(context, given, origin, request.headers.getlist("authorization"))


async def _refuse_malformed(request: Request) -> None:
    """Raise InvalidRequest for a body in another form, and for what no parameter may be (§3.2)."""
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type != _FORM:
        raise InvalidRequest(f"The content type must be {_FORM}")
    pairs = (await request.form()).multi_items()
    names = [name for name, _ in pairs]
    if len(names) != len(set(names)):
        raise InvalidRequest("A parameter is repeated")
    values = [value for _, value in pairs if isinstance(value, str)]  # no file comes in this form
    if any(len(value) > _MAX_FIELD or "\x00" in value for value in values):
        raise InvalidRequest("A parameter is too long or contains a NUL character")


async def _grant(
    context: AuthContext, given: dict[str, str], origin: LoginOrigin, authorization: list[str]
) -> TokenRead:
    def need(name: str) -> str:
        if name not in given:
            raise InvalidRequest(f"{name} is missing")
        return given[name]

    if given.keys() >= {"username", "password"}:  # forms of older clients don't say the rest
        given.setdefault("grant_type", "password")
    match need("grant_type"):
        case "password":
            return await grants.log_in(
                context,
                username=need("username"),
                password=need("password"),
                device_id=_uuid(given.get("device_id")),
                origin=origin,
            )
        case "refresh_token":
            token = need("refresh_token")
            return await grants.refresh_session(context, token=token, origin=origin)
        case "client_credentials":
            # Here only: docs pages send an empty Basic with the password grant.
            shown = shown_secret(authorization, given)
            name = await clients.identify(
                context.work, context.settings, client_id=shown.client_id, secret=shown.secret
            )
            return grants.for_service(context.keyring, name)
        case _:
            raise UnsupportedGrant


def _uuid(text: str | None) -> UUID | None:
    try:
        return UUID(text) if text else None
    except ValueError as error:
        raise InvalidRequest("device_id is not a UUID") from error
