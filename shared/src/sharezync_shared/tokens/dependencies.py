"""The token in a request, and who is calling, as FastAPI dependencies.

The verifier is the app's: `app.state.verifier`. Source: RFC 6750 §2.1.
"""

from collections.abc import Iterable
from typing import Annotated, Final

from fastapi import Security
from fastapi.openapi.models import (
    OAuth2,
    OAuthFlowClientCredentials,
    OAuthFlowPassword,
    OAuthFlows,
)
from fastapi.security.base import SecurityBase
from starlette.requests import HTTPConnection

from sharezync_shared.problems import Unauthenticated
from sharezync_shared.tokens.claims import Identity, ServiceIdentity
from sharezync_shared.tokens.verifier import TokenVerifier

TOKEN_URL = "/token"  # noqa: S105 - an address, as the gateway shows it


def bearer_token(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """Return the token of the Authorization header among these raw ASGI headers, unverified.

    Raises Unauthenticated if there is none, if it is of another scheme, or if there are two:
    which of them counts would be for each hop to guess.
    """
    values = [value for name, value in headers if name.lower() == b"authorization"]
    if not values:
        # Without an error code: nothing was tried (RFC 6750 §3.1).
        raise Unauthenticated("An access token is required", headers={"WWW-Authenticate": "Bearer"})
    scheme, _, token = values[0].partition(b" ")
    token = token.strip()
    if len(values) > 1 or scheme.lower() != b"bearer" or not token:
        raise Unauthenticated(
            "The Authorization header must be one `Bearer <token>`",
            headers={"WWW-Authenticate": 'Bearer error="invalid_request"'},
        )
    return token.decode("latin-1")


class _UserToken(SecurityBase):
    """In OpenAPI: the OAuth2 password flow, so that the docs page can log in."""

    def __init__(self) -> None:
        self.scheme_name = "user"
        self.model = OAuth2(flows=OAuthFlows(password=OAuthFlowPassword(tokenUrl=TOKEN_URL)))

    async def __call__(self, connection: HTTPConnection) -> Identity:
        return await _verifier(connection).verify(bearer_token(connection.scope["headers"]))


class _ServiceToken(SecurityBase):
    def __init__(self) -> None:
        self.scheme_name = "service"
        flow = OAuthFlowClientCredentials(tokenUrl=TOKEN_URL)
        self.model = OAuth2(flows=OAuthFlows(clientCredentials=flow))

    async def __call__(self, connection: HTTPConnection) -> ServiceIdentity:
        return await _verifier(connection).verify_service(bearer_token(connection.scope["headers"]))


def _verifier(connection: HTTPConnection) -> TokenVerifier:
    verifier: TokenVerifier = connection.app.state.verifier
    return verifier


Caller = Annotated[Identity, Security(_UserToken())]
"""The user whose access token came with the request; without one the answer is 401."""

SERVICES_ONLY: Final = Security(_ServiceToken())
"""The same for routes that don't ask which service it is."""

InternalCaller = Annotated[ServiceIdentity, SERVICES_ONLY]
"""The service that calls: the only thing that `/internal/*` opens to; otherwise 401."""
