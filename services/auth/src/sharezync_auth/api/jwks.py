"""The keys that tokens are verified with."""

import re
from typing import Annotated, Any, Final

from fastapi import APIRouter, Header, Response
from fastapi.responses import JSONResponse

from sharezync_auth.api.dependencies import Context

router = APIRouter(tags=["authentication"])

_ETAG: Final = re.compile(r'(?:W/)?("[\x21\x23-\x7e]*")')


class JwkSet(JSONResponse):
    """A JWK set, by its registered media type (RFC 7517 §8.5.1)."""

    media_type = "application/jwk-set+json"


@router.get(
    "/.well-known/jwks.json",
    operation_id="get_jwks",
    summary="Get the public signing keys",
    response_class=JwkSet,
    response_model=dict[str, list[dict[str, str]]],
    responses={304: {"description": "The keys haven't changed (`If-None-Match`)"}},
)
async def get_jwks(
    context: Context,
    if_none_match: Annotated[str, Header(description="`ETag` of an earlier response")] = "",
) -> Any:  # noqa: ANN401 - the finished document, or that it has not changed
    """Returns a JWK set (RFC 7517): the current signing key, the next one, and earlier ones whose
    tokens haven't expired. Fetch it again after `max-age`, and when a token has an unknown `kid`.
    It is empty if tokens are signed with a shared secret.
    """
    document, etag = context.keyring.jwks()
    # Terms of rotation count on this (states.py): no longer than a lifespan.
    max_age = int(context.settings.jwks_lifespan_seconds)
    headers = {"Cache-Control": f"public, max-age={max_age}", "ETag": etag}
    if if_none_match.strip() == "*" or etag in _ETAG.findall(if_none_match):
        return Response(status_code=304, headers=headers)
    return Response(document, headers=headers, media_type=JwkSet.media_type)
