"""auth's public keys, fetched from its JWKS document and kept (RFC 7517)."""

import asyncio
import time
from collections.abc import Callable
from typing import Any, Final

import httpx
import jwt
import msgspec
import structlog
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from prometheus_client import CollectorRegistry, Counter, Gauge

from sharezync_shared.background import SingleFlight
from sharezync_shared.metrics import shared_metric
from sharezync_shared.outage_log import OutageLog
from sharezync_shared.tokens.keys import Algorithm, KeysUnavailable, UnknownKey, VerificationKey

log = structlog.get_logger()

JWKS_PATH: Final = "/.well-known/jwks.json"
MAX_JWKS_BYTES: Final = 64 * 1024
MAX_KID_LENGTH: Final = 128


class BadJwks(Exception):
    """The answer is no key set that we would trust."""


class JwksMetrics:
    """How old the key set of one service is, and what became of attempts to fetch it."""

    def __init__(self, registry: CollectorRegistry, service: str) -> None:
        self._service = service
        fetches = shared_metric(
            registry,
            Counter,
            "sharezync_jwks_fetches_total",
            "Attempts to fetch auth's public keys, by result: done or failed",
            ("service", "result"),
        )
        self.done = fetches.labels(service, "done")
        self.failed = fetches.labels(service, "failed")
        self._age = shared_metric(
            registry,
            Gauge,
            "sharezync_jwks_age_seconds",
            "Time since auth's public keys were fetched; it also grows where no token comes to be "
            "verified",
            ("service",),
        )

    def watch(self, age_seconds: Callable[[], float]) -> None:
        """Show the age from now on: the first set has come."""
        self._age.labels(self._service).set_function(age_seconds)


class _Document(msgspec.Struct):
    keys: list[dict[str, Any]]


class JwksKeys:
    """A cache of auth's ES256 keys that neither auth's absence nor a flood of tokens can hurt.

    - The set is fetched at first use and again every `lifespan_seconds`. When that fails, the old
      set stays in use, however old, and later attempts run behind the requests.
    - An unknown `kid` fetches at once (a new key may have come), but not within `cooldown_seconds`
      of the last fetch: tokens with invented ids cost auth one request in that time.
    - After a failure the next attempt waits `retry_seconds`.
    - Whoever needs keys while a fetch is under way waits for that one.

    `client` is not closed here, and its own credentials are not used: the keys are public.
    Raises ValueError unless `url` (relative to the client's base URL) is http or https.
    """

    algorithm: Algorithm = "ES256"

    def __init__(
        self,
        client: httpx.AsyncClient,
        url: str = JWKS_PATH,
        *,
        lifespan_seconds: float = 300,
        cooldown_seconds: float = 30,
        retry_seconds: float = 2,
        timeout_seconds: float = 5,
        monotonic: Callable[[], float] = time.monotonic,
        metrics: JwksMetrics | None = None,
    ) -> None:
        self._metrics = metrics
        self._client = client
        self._url = url
        if self._request().url.scheme not in {"http", "https"}:
            raise ValueError(f"keys come by http or https only, not from {url!r}")
        self._lifespan_seconds = lifespan_seconds
        self._cooldown_seconds = min(cooldown_seconds, lifespan_seconds)
        self._retry_seconds = retry_seconds
        self._timeout_seconds = timeout_seconds
        self._monotonic = monotonic
        self._keys: dict[str, EllipticCurvePublicKey] = {}
        self._stale_at = monotonic()
        self._next_attempt_at = monotonic()
        self._failing = False
        self._log = OutageLog("jwks_fetch_failed")
        self._flight: SingleFlight[None] = SingleFlight()

    async def key_for(self, kid: str | None) -> VerificationKey:
        """Return the key of this id. Raises UnknownKey, or KeysUnavailable while auth is away."""
        if not kid or len(kid) > MAX_KID_LENGTH:
            raise UnknownKey(kid)
        if self._monotonic() >= self._stale_at:
            await self._freshen()
        if kid not in self._keys and self._may_fetch():
            await self._attempt()
        try:
            return self._keys[kid]
        except KeyError:
            if self._failing or not self._keys:
                raise KeysUnavailable("the key set could not be fetched") from None
            raise UnknownKey(kid) from None

    async def refresh(self) -> None:
        """Fetch the key set now; for start-up, and for when auth says that keys have rotated.

        Raises KeysUnavailable; the set in hand then stays in use.
        """
        await self._flight.join(self._fetch)

    async def aclose(self) -> None:
        """Stop a fetch under way."""
        await self._flight.aclose()

    async def _freshen(self) -> None:
        if not self._may_fetch():
            return
        if self._keys and self._failing:
            # auth has been failing: nobody waits for the next attempt while there are keys to use.
            self._flight.start(self._fetch)
        else:
            await self._attempt()

    def _may_fetch(self) -> bool:
        return self._flight.running or self._monotonic() >= self._next_attempt_at

    async def _attempt(self) -> None:
        try:
            await self._flight.join(self._fetch)
        except KeysUnavailable:
            return  # logged; what is in hand decides

    async def _fetch(self) -> None:
        try:
            async with asyncio.timeout(self._timeout_seconds):
                keys = _usable_keys(await self._download())
        except (httpx.HTTPError, TimeoutError, BadJwks) as error:
            self._failing = True
            if self._metrics:
                self._metrics.failed.inc()
            self._next_attempt_at = self._monotonic() + self._retry_seconds
            self._log.failed(error, keys_kept=len(self._keys))
            raise KeysUnavailable("the key set could not be fetched") from error
        now = self._monotonic()
        if self._metrics:
            self._metrics.done.inc()
            self._metrics.watch(lambda: self._monotonic() - now)
        self._keys = keys
        self._failing = False
        self._stale_at = now + self._lifespan_seconds
        self._next_attempt_at = now + self._cooldown_seconds

    def _request(self) -> httpx.Request:
        # Compression is declined, and nothing is unpacked below: a small body could become large.
        headers = {"accept": "application/json", "accept-encoding": "identity"}
        return self._client.build_request("GET", self._url, headers=headers)

    async def _download(self) -> bytes:
        response = await self._client.send(
            self._request(),
            stream=True,
            auth=None,  # a client that fetches credentials from auth first would go in circles
            follow_redirects=False,  # whoever can redirect could name another key set
        )
        try:
            if response.status_code != httpx.codes.OK:
                raise BadJwks(f"status {response.status_code}")
            body = bytearray()
            async for piece in response.aiter_raw():
                body += piece
                if len(body) > MAX_JWKS_BYTES:
                    raise BadJwks(f"more than {MAX_JWKS_BYTES} bytes")
            return bytes(body)
        finally:
            await response.aclose()


def _usable_keys(body: bytes) -> dict[str, EllipticCurvePublicKey]:
    """Return the keys that ES256 tokens may be signed with; others are passed over.

    Raises BadJwks if there is none: a set that would refuse everybody is taken for a fault.
    """
    try:
        document = msgspec.json.decode(body, type=_Document)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadJwks("not a key set") from error
    keys = {kid: key for kid, key in map(_usable_key, document.keys) if key is not None}
    if not keys:
        raise BadJwks("no usable key")
    return keys


def _usable_key(jwk: dict[str, Any]) -> tuple[str, EllipticCurvePublicKey | None]:
    kid = jwk.get("kid")
    if not isinstance(kid, str) or not 0 < len(kid) <= MAX_KID_LENGTH:
        return "", None
    if "d" in jwk:
        # Whoever can read this document can sign with that key.
        log.error("jwks_private_key_published", kid=kid)
        return kid, None
    if jwk.get("use") != "sig" or jwk.get("alg", "ES256") != "ES256" or jwk.get("crv") != "P-256":
        return kid, None
    try:
        key = jwt.PyJWK(jwk, "ES256").key
    except jwt.PyJWTError:
        return kid, None
    return kid, key if isinstance(key, EllipticCurvePublicKey) else None
