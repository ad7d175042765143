"""Services as OAuth2 clients. A secret is one of those that `service-client add` made, the one of
SERVICE_SECRETS, or the one derived from SECRET_KEY; several hold at once, so that they can be
exchanged without an interruption.
"""

import hashlib
import hmac
import secrets
from typing import Final
from uuid import UUID

from sqlmodel import col, select

from sharezync_auth.errors import InvalidClient
from sharezync_auth.models import OAuthClient
from sharezync_auth.settings import AuthSettings
from sharezync_shared.tokens.claims import service_name
from sharezync_shared.work import UnitsOfWork

_PREFIX: Final = "szs_"  # so that scanners for leaked secrets can know one
_SECRET_BYTES: Final = 32


async def identify(
    work: UnitsOfWork, settings: AuthSettings, *, client_id: str, secret: str
) -> str:
    """Return the name of the service that shows this secret. Raises InvalidClient.

    Unknown and wrong cost the same work. The secrets of the settings hold without the database.
    """
    # Digests are compared: of equal length, whatever was sent.
    shown = _digest(secret)
    # Of others one that nobody knows.
    configured = settings.secret_of_service(client_id) or secrets.token_hex(_SECRET_BYTES)
    if hmac.compare_digest(shown, _digest(configured)):
        return client_id
    async with work.read() as unit:
        found = await unit.session.exec(
            select(OAuthClient.secret_digest).where(OAuthClient.name == client_id)
        )
        matches = [hmac.compare_digest(shown, digest) for digest in found.all()]
    if not any(matches):
        raise InvalidClient
    return client_id


async def add(work: UnitsOfWork, *, name: str) -> tuple[OAuthClient, str]:
    """Make one more secret for the service `name`, and return it. Raises ValueError for another
    name.
    """
    secret = _PREFIX + secrets.token_urlsafe(_SECRET_BYTES)
    async with work.begin() as unit:
        client = OAuthClient(
            name=service_name(name), secret_digest=_digest(secret), created_at=unit.now
        )
        unit.add(client)
    return client, secret


async def all_clients(work: UnitsOfWork) -> list[OAuthClient]:
    """Return the secrets that were made, without what they are: by name, the oldest first."""
    async with work.read() as unit:
        found = await unit.session.exec(
            select(OAuthClient).order_by(col(OAuthClient.name), col(OAuthClient.id))
        )
        return list(found.all())


async def remove(work: UnitsOfWork, *, client_id: UUID) -> bool:
    """Revoke a secret; False if there is none of this id. Its tokens hold for five more minutes."""
    async with work.begin() as unit:
        client = await unit.get(OAuthClient, client_id, lock=True)
        if client is not None:
            await unit.session.delete(client)
    return client is not None


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()
