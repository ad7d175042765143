"""The signing keys as this process sees them; see `states.py` and `key_store.py`."""

import asyncio
import hashlib
import time
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import msgspec
import structlog
from prometheus_client import CollectorRegistry, Gauge

from sharezync_auth.key_store import KeyStore, PrivateKey
from sharezync_auth.settings import AuthSettings
from sharezync_auth.states import ACTIVE, CUT_OFF, LOOK_SECONDS, NEXT, RETIRING, RotationPolicy
from sharezync_shared.background import Periodic, SingleFlight
from sharezync_shared.problems import Unavailable
from sharezync_shared.tokens.issuer import TokenIssuer
from sharezync_shared.tokens.keys import (
    Algorithm,
    KeySource,
    KeysUnavailable,
    SecretKeys,
    StaticKeys,
    UnknownKey,
    VerificationKey,
)
from sharezync_shared.tokens.signing import SigningKey
from sharezync_shared.work import UnitsOfWork

log = structlog.get_logger()

_COOLDOWN_SECONDS: Final = 5.0
_TIMEOUT_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class _View:
    """The keys at one look. `seen_at` is monotonic; None where there is nothing to look at."""

    signing: SigningKey
    source: KeySource
    document: bytes
    etag: str
    seen_at: float | None


class Keyring:
    """The keys of this installation; use it inside `kept`. A `KeySource` of its own service.

    With ALGORITHM=HS256 SECRET_KEY signs. `policy` and `look_seconds` may be changed before `kept`.
    """

    def __init__(
        self,
        settings: AuthSettings,
        *,
        registry: CollectorRegistry,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.policy = RotationPolicy.from_settings(settings)
        self.look_seconds = LOOK_SECONDS
        self._settings = settings
        self._monotonic = monotonic
        self._view: _View | None = None
        self._store: KeyStore | None = None
        # Looks take turns, so that an older picture never replaces a younger one.
        self._turn = asyncio.Lock()
        self._flight: SingleFlight[None] = SingleFlight()
        self._next_look_at = self._monotonic()
        self._failing = False
        self._metrics = _Metrics(registry) if settings.algorithm == "ES256" else None

    @property
    def algorithm(self) -> Algorithm:
        return self._settings.algorithm

    async def key_for(self, kid: str | None) -> VerificationKey:
        """Return what verifies tokens signed by this key. Raises UnknownKey, KeysUnavailable.

        An unknown one may have come since the last look: the database is asked, but once in five
        seconds at most, however many ids strangers invent. Known ones never wait for that.
        """
        view = self._view
        if view is None:
            raise KeysUnavailable
        try:
            return await view.source.key_for(kid)
        except UnknownKey:
            if view.seen_at is None:
                raise
        if self._flight.running or self._monotonic() >= self._next_look_at:
            await self._flight.join(self._look_for_unknown)
        try:
            return await self._seen().source.key_for(kid)
        except UnknownKey:
            if self._failing:
                raise KeysUnavailable from None  # it may be one that came meanwhile
            raise

    def issuer(self) -> TokenIssuer:
        """Return what mints tokens with the active key.

        Raises Unavailable where the keys could not be looked at for an hour: the one at hand may
        be retired, and be gone before its tokens are.
        """
        view = self._seen()
        cut_off = CUT_OFF.total_seconds()
        if view.seen_at is not None and self._monotonic() - view.seen_at > cut_off:
            raise Unavailable("The signing keys couldn't be read for too long")
        return TokenIssuer(
            key=view.signing,
            issuer=self._settings.jwt_issuer,
            audience=self._settings.jwt_audience,
            access_lifetime_seconds=self._settings.access_token_expire_minutes * 60,
        )

    def jwks(self) -> tuple[bytes, str]:
        """Return the public document (RFC 7517) as JSON, without keys for HS256, and its entity
        tag.
        """
        view = self._seen()
        return view.document, view.etag

    @asynccontextmanager
    async def kept(self, work: UnitsOfWork) -> AsyncGenerator[None]:
        """Look at the keys, and again every `look_seconds` inside the block; do what is due.

        The very first start of an installation makes its keys. Raises WrongSecretKey.
        """
        secret = self._settings.require_secret_key()
        if self._settings.algorithm == "HS256":
            self._view = _view(SigningKey.from_secret(secret), SecretKeys(secret), [], None)
            yield
            return
        self._store = KeyStore(work, secret)
        await self.refresh()
        looking = Periodic(
            self._refresh_or_note,
            name="auth-keys",
            every_seconds=self.look_seconds,
            first_seconds=self.look_seconds,
        )
        async with looking.running():
            yield
        await self._flight.aclose()

    async def refresh(self) -> None:
        """Look at the keys now, and do what is due about them. Raises WrongSecretKey."""
        if self._store is None:
            return
        async with self._turn:
            self._see(await self._store.load_and_rotate(self.policy))

    def _seen(self) -> _View:
        if self._view is None:
            raise RuntimeError("The keyring is not kept")
        return self._view

    async def _look_for_unknown(self) -> None:
        assert self._store is not None  # noqa: S101 - views of no store hold no unknown keys
        with self._noting_failure():
            async with asyncio.timeout(_TIMEOUT_SECONDS), self._turn:
                self._see(await self._store.read())
        self._next_look_at = self._monotonic() + _COOLDOWN_SECONDS

    async def _refresh_or_note(self) -> None:
        with self._noting_failure():
            await self.refresh()

    @contextmanager
    def _noting_failure(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # noqa: BLE001 - boundary: callers get the error by `_failing`
            self._failing = True
            log.error("signing_keys_not_read", error=repr(error))  # noqa: TRY400 - in one line

    def _see(self, private_keys: Sequence[PrivateKey]) -> None:
        signing = [each for each in private_keys if each.key.state == ACTIVE]
        active = min(signing, key=lambda each: each.key.since)
        published = [each.signing for each in private_keys]
        source = StaticKeys({key.kid: key.public_key() for key in published})
        self._view = _view(active.signing, source, published, self._monotonic())
        self._failing = False
        if self._metrics:
            self._metrics.see(private_keys, active.key.since)


def _view(
    signing: SigningKey, source: KeySource, published: Sequence[SigningKey], seen_at: float | None
) -> _View:
    document = msgspec.json.encode({"keys": [key.public_jwk() for key in published]})
    etag = f'"{hashlib.sha256(document).hexdigest()[:32]}"'
    return _View(signing, source, document, etag, seen_at)


class _Metrics:
    def __init__(self, registry: CollectorRegistry) -> None:
        self._keys = Gauge(
            "sharezync_signing_keys",
            "Signing keys by state; at any time one is active and one next; the same in every "
            "replica",
            ["state"],
            registry=registry,
        )
        self._age = Gauge(
            "sharezync_signing_key_age_seconds",
            "Age of the active signing key; the same in every replica",
            registry=registry,
        )

    def see(self, private_keys: Sequence[PrivateKey], active_since: datetime) -> None:
        for state in (NEXT, ACTIVE, RETIRING):
            self._keys.labels(state).set(sum(each.key.state == state for each in private_keys))
        since = active_since.timestamp()
        self._age.set_function(lambda: time.time() - since)
