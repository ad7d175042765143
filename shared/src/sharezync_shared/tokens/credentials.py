"""How a service proves to the others who it is: OAuth2 client credentials (RFC 6749 §4.4)."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

import httpx
import msgspec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from sharezync_shared.background import SingleFlight
from sharezync_shared.outage_log import OutageLog
from sharezync_shared.tokens.claims import service_name

# Before the second and the third attempt: a restart of auth is survived, an outage reported soon.
_PAUSES_SECONDS = (0.1, 0.5)
_RENEW_BEFORE_SECONDS = 60.0
_TIMEOUT_SECONDS = 5.0


class CredentialsUnavailable(httpx.RequestError):
    """auth gave no service token. To a caller it is as if the peer could not be reached."""


def derive_service_secret(secret_key: str, service: str) -> str:
    """Return the secret of `service` where none is configured: 64 hex digits.

    HKDF-SHA256 (RFC 5869) of SECRET_KEY, no salt, info `sharezync service <name>`. Who learns one
    service's secret learns neither SECRET_KEY nor another's. Raises ValueError for an empty
    SECRET_KEY and for what can't be a service's name.
    """
    if not secret_key:
        raise ValueError("SECRET_KEY is empty: set it, or set SERVICE_SECRET for each service")
    info = f"sharezync service {service_name(service)}".encode()
    return HKDF(SHA256(), length=32, salt=None, info=info).derive(secret_key.encode()).hex()


class _TokenAnswer(msgspec.Struct):
    access_token: str
    expires_in: float


@dataclass(frozen=True, slots=True)
class _CachedToken:
    token: str
    renew_at: float
    ends_at: float


class ServiceCredentials:
    """The token of this service, fetched from auth when needed and renewed before it ends.

    However many ask, one request to auth is under way at a time. `client` has auth's base URL; its
    own credentials are not used, and it is not closed here. Times are read from `monotonic`.
    """

    def __init__(
        self,
        client: httpx.AsyncClient,
        *,
        service: str,
        secret: str,
        monotonic: Callable[[], float] = time.monotonic,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._client = client
        self._service = service_name(service)
        self._secret = secret
        self._monotonic = monotonic
        self._pause = pause
        self._cached: _CachedToken | None = None
        self._log = OutageLog("service_token_failed", service=self._service)
        self._flight: SingleFlight[_CachedToken] = SingleFlight()

    async def token(self) -> str:
        """Return a token that holds for some time yet.

        Near its end it is renewed first; where that fails, it is given out until it has ended.
        Raises CredentialsUnavailable if there is none: after three attempts where auth is away,
        at once where it refuses us.
        """
        if self._cached is not None and self._monotonic() < self._cached.renew_at:
            return self._cached.token
        try:
            return (await self._flight.join(self._fetch)).token
        except CredentialsUnavailable:
            cached, now = self._cached, self._monotonic()
            if cached is None or now >= cached.ends_at:
                raise
            # Others shall not each wait for auth while this one is good.
            renew_at = min(cached.ends_at, now + _TIMEOUT_SECONDS)
            self._cached = replace(cached, renew_at=renew_at)
            return cached.token

    async def token_instead_of(self, refused: str) -> str:
        """Return another token than `refused`, which a peer did not accept.

        Of many who come with the same token the first has it renewed. Raises as `token` does.
        """
        if self._cached is not None and self._cached.token == refused:
            self._cached = None
        return await self.token()

    async def aclose(self) -> None:
        """Stop a request under way."""
        await self._flight.aclose()

    async def _fetch(self) -> _CachedToken:
        for pause_seconds in (*_PAUSES_SECONDS, None):
            try:
                self._cached = await self._ask()
                return self._cached
            except (httpx.HTTPError, TimeoutError) as error:
                self._log.failed(error)
                if isinstance(error, CredentialsUnavailable) or pause_seconds is None:
                    raise CredentialsUnavailable(f"no service token: {error!r}") from error
                await self._pause(pause_seconds)
        raise AssertionError("the last attempt returns or raises")

    async def _ask(self) -> _CachedToken:
        """Ask once. Raises CredentialsUnavailable if asking again would give the same answer."""
        asked_at = self._monotonic()
        form = {
            "grant_type": "client_credentials",
            "client_id": self._service,
            "client_secret": self._secret,
        }
        async with asyncio.timeout(_TIMEOUT_SECONDS):
            response = await self._client.send(
                self._client.build_request("POST", "/token", data=form),
                auth=None,  # this is where the client's credentials would come from
                follow_redirects=False,  # the secret goes to auth and to nobody else
            )
        if response.status_code >= 500 or response.status_code == httpx.codes.TOO_MANY_REQUESTS:
            response.raise_for_status()
        if response.status_code != httpx.codes.OK:
            raise CredentialsUnavailable(f"auth refused {self._service}: {response.status_code}")
        try:
            answer = msgspec.json.decode(response.content, type=_TokenAnswer)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise CredentialsUnavailable("auth's answer holds no token") from error
        # A token that lives shortly is still used for half its life.
        margin = min(_RENEW_BEFORE_SECONDS, answer.expires_in / 2)
        ends_at = asked_at + answer.expires_in
        return _CachedToken(answer.access_token, ends_at - margin, ends_at)
