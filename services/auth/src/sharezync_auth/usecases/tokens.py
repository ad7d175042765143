"""What the token endpoint gives out, and how it refuses: errors are those of RFC 6749 §5.2."""

from pydantic import BaseModel, Field

from sharezync_auth import refresh
from sharezync_auth.keyring import Keyring
from sharezync_auth.models import Session
from sharezync_shared.ids import DeviceId, SessionId, UserId
from sharezync_shared.tokens.claims import INTERNAL_SCOPE, USER_SCOPE


class TokenRead(BaseModel):
    """Tokens (RFC 6749 §5.1)."""

    access_token: str = Field(description="Send it as `Authorization: Bearer …`")
    token_type: str = Field("bearer", description="Always `bearer`")
    expires_in: int = Field(description="Seconds until the access token expires", examples=[600])
    refresh_token: str | None = Field(
        None, description="For the next `refresh_token` grant; absent with `client_credentials`"
    )
    scope: str = Field(examples=[USER_SCOPE], description="What the token is for")


def for_session(keyring: Keyring, session: Session) -> TokenRead:
    """Return a fresh access token of this session, and its present refresh token."""
    issued = keyring.issuer().access_token(
        user_id=UserId(session.user_id),
        session_id=SessionId(session.id),
        device_id=DeviceId(session.device_id) if session.device_id else None,
    )
    return TokenRead(
        access_token=issued.token,
        expires_in=issued.expires_in_seconds,
        refresh_token=refresh.seal(session.id, session.counter, session.refresh_key),
        scope=USER_SCOPE,
    )


def for_service(keyring: Keyring, name: str) -> TokenRead:
    """Return a token with which the service `name` may call the others' internal routes."""
    issued = keyring.issuer().service_token(name)
    return TokenRead(
        access_token=issued.token, expires_in=issued.expires_in_seconds, scope=INTERNAL_SCOPE
    )


class OwnCredentials:
    """auth's own token for the others, which it signs itself instead of asking for it."""

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring

    async def token(self) -> str:
        """Return a new token."""
        return self._keyring.issuer().service_token("auth").token

    async def token_instead_of(self, refused: str) -> str:
        """Return a new token."""
        del refused
        return await self.token()
