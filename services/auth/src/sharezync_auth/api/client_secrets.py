"""How a client shows its secret: HTTP Basic, or parameters of the body (RFC 6749 §2.3.1)."""

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import unquote_plus

from sharezync_auth.errors import InvalidClient, InvalidRequest


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
