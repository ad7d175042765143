"""A clock that stands still, and a verifier that reads it."""

from dataclasses import dataclass

import pytest

from sharezync_shared.tokens.issuer import TokenIssuer
from sharezync_shared.tokens.keys import KeySource, SecretKeys, StaticKeys
from sharezync_shared.tokens.signing import SigningKey
from sharezync_shared.tokens.verifier import Revocations, TokenVerifier

SECRET_KEY = "correct horse battery staple, and then some"


@dataclass
class FakeClock:
    """Seconds since the epoch that pass when a test says so."""

    now: float = 1_800_000_000.25

    def __call__(self) -> float:
        return self.now

    def pass_seconds(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(scope="session", params=["ES256", "HS256"])
def signing_key(request: pytest.FixtureRequest) -> SigningKey:
    if request.param == "HS256":
        return SigningKey.from_secret(SECRET_KEY)
    return SigningKey.generate()


@pytest.fixture
def keys(signing_key: SigningKey) -> KeySource:
    if signing_key.algorithm == "HS256":
        return SecretKeys(SECRET_KEY)
    return StaticKeys({signing_key.kid: signing_key.public_key()})


@pytest.fixture
def issuer(signing_key: SigningKey, clock: FakeClock) -> TokenIssuer:
    return TokenIssuer(key=signing_key, clock=clock)


@pytest.fixture
def revocations(clock: FakeClock) -> Revocations:
    return Revocations(access_lifetime_seconds=600, clock=clock)


@pytest.fixture
def verifier(keys: KeySource, revocations: Revocations, clock: FakeClock) -> TokenVerifier:
    return TokenVerifier(
        keys, issuer="sharezync", audience="sharezync", revocations=revocations, clock=clock
    )
