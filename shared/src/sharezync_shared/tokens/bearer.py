"""Finding the token in a request (RFC 6750 §2.1)."""

from collections.abc import Iterable

from sharezync_shared.problems import Unauthenticated


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
