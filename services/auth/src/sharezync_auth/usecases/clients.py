"""Services as OAuth2 clients: who they are is proved by a secret."""

import hmac

from sharezync_auth.settings import AuthSettings
from sharezync_auth.usecases.tokens import InvalidClient


def identify(settings: AuthSettings, *, client_id: str, secret: str) -> str:
    """Return the name of the service that shows this secret. Raises InvalidClient."""
    known = settings.secret_of_service(client_id)
    if known is None or not hmac.compare_digest(known.encode(), secret.encode()):
        raise InvalidClient
    return client_id
