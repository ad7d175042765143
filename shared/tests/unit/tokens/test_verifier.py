import asyncio
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.tests.unit.tokens.conftest import FakeClock
from sharezync_shared.ids import DeviceId, SessionId, UserId, uuid7
from sharezync_shared.problems import Unauthenticated, Unavailable
from sharezync_shared.tokens.claims import MAX_TOKEN_BYTES, ServiceIdentity
from sharezync_shared.tokens.issuer import TokenIssuer
from sharezync_shared.tokens.keys import KeysUnavailable, StaticKeys, VerificationKey
from sharezync_shared.tokens.signing import SigningKey
from sharezync_shared.tokens.verifier import Revocations, TokenVerifier

USER, SESSION, DEVICE = UserId(uuid7()), SessionId(uuid7()), DeviceId(uuid7())


def access_token(issuer: TokenIssuer) -> str:
    return issuer.access_token(user_id=USER, session_id=SESSION).token


class CountingKeys(StaticKeys):
    """Counts look-ups: a token that is remembered needs none."""

    def __init__(self, key: SigningKey) -> None:
        super().__init__({key.kid: key.public_key()})
        self.lookups = 0
        self.available = True

    async def key_for(self, kid: str | None) -> VerificationKey:
        self.lookups += 1
        if not self.available:
            raise KeysUnavailable
        return await super().key_for(kid)


@pytest.fixture
def es256_key() -> SigningKey:
    return SigningKey.generate()


@pytest.fixture
def counting_keys(es256_key: SigningKey) -> CountingKeys:
    return CountingKeys(es256_key)


@pytest.fixture
def es256_issuer(es256_key: SigningKey, clock: FakeClock) -> TokenIssuer:
    return TokenIssuer(key=es256_key, clock=clock)


@pytest.fixture
def counted(
    counting_keys: CountingKeys, revocations: Revocations, clock: FakeClock
) -> TokenVerifier:
    return TokenVerifier(
        counting_keys,
        issuer="sharezync",
        audience="sharezync",
        revocations=revocations,
        clock=clock,
        remember_count=2,
    )


async def test_an_access_token_names_its_user(
    issuer: TokenIssuer, verifier: TokenVerifier, clock: FakeClock
) -> None:
    issued = issuer.access_token(user_id=USER, session_id=SESSION, device_id=DEVICE)
    identity = await verifier.verify(issued.token)
    assert (identity.user_id, identity.session_id, identity.device_id) == (USER, SESSION, DEVICE)
    assert identity.scope == {"user"}
    assert identity.expires_at == issued.expires_at == int(clock.now) + 600
    assert identity.issued_at == int(clock.now)
    assert identity.token_id == issued.token_id


async def test_a_login_without_a_device_has_none(
    issuer: TokenIssuer, verifier: TokenVerifier
) -> None:
    assert (await verifier.verify(access_token(issuer))).device_id is None


async def test_a_service_token_names_its_service(
    issuer: TokenIssuer, verifier: TokenVerifier
) -> None:
    token = issuer.service_token("chat").token
    assert await verifier.verify_service(token) == ServiceIdentity("chat")
    assert await verifier.verify_service(token) == ServiceIdentity("chat")


async def test_a_cached_token_is_refused_as_one_of_the_other_kind(
    issuer: TokenIssuer, verifier: TokenVerifier
) -> None:
    users, services = access_token(issuer), issuer.service_token("chat").token
    await verifier.verify(users)
    await verifier.verify_service(services)
    with pytest.raises(Unauthenticated):
        await verifier.verify_service(users)
    with pytest.raises(Unauthenticated):
        await verifier.verify(services)
    assert verifier.peek(services) is None


async def test_a_refusal_says_so_in_the_words_of_rfc_6750(verifier: TokenVerifier) -> None:
    with pytest.raises(Unauthenticated) as refusal:
        await verifier.verify("no.such.token")
    assert refusal.value.status == 401
    assert refusal.value.headers["WWW-Authenticate"].startswith('Bearer error="invalid_token"')


@pytest.mark.parametrize(("late_seconds", "holds"), [(609, True), (610, False), (10**9, False)])
async def test_a_token_holds_until_its_end_and_the_leeway(
    issuer: TokenIssuer,
    verifier: TokenVerifier,
    clock: FakeClock,
    late_seconds: float,
    holds: bool,
) -> None:
    token = access_token(issuer)
    clock.now = int(clock.now) + late_seconds
    if holds:
        await verifier.verify(token)
    else:
        with pytest.raises(Unauthenticated, match="expired"):
            await verifier.verify(token)


@pytest.mark.parametrize(("early_seconds", "holds"), [(10, True), (11, False)])
async def test_a_token_from_a_clock_ahead_holds_within_the_leeway(
    issuer: TokenIssuer,
    verifier: TokenVerifier,
    clock: FakeClock,
    early_seconds: float,
    holds: bool,
) -> None:
    token = access_token(issuer)
    clock.now = int(clock.now) - early_seconds
    if holds:
        await verifier.verify(token)
    else:
        with pytest.raises(Unauthenticated, match="not valid yet"):
            await verifier.verify(token)


async def test_a_token_is_verified_once_and_then_remembered_for_a_minute(
    es256_issuer: TokenIssuer,
    counted: TokenVerifier,
    counting_keys: CountingKeys,
    clock: FakeClock,
) -> None:
    token = access_token(es256_issuer)
    assert counted.peek(token) is None
    first = await counted.verify(token)
    clock.pass_seconds(59)
    assert await counted.verify(token) is first
    assert counted.peek(token) is first
    assert counting_keys.lookups == 1
    clock.pass_seconds(1)
    assert counted.peek(token) is None
    assert await counted.verify(token) == first
    assert counting_keys.lookups == 2


async def test_a_remembered_token_is_forgotten_when_it_ends(
    es256_issuer: TokenIssuer, counted: TokenVerifier, clock: FakeClock
) -> None:
    token = access_token(replace(es256_issuer, access_lifetime_seconds=30))
    await counted.verify(token)
    clock.pass_seconds(29)
    assert counted.peek(token) is not None
    clock.pass_seconds(1)
    assert counted.peek(token) is None
    clock.pass_seconds(10)
    with pytest.raises(Unauthenticated, match="expired"):
        await counted.verify(token)


async def test_only_the_tokens_used_last_are_remembered(
    es256_issuer: TokenIssuer, counted: TokenVerifier
) -> None:
    first, second, third = (access_token(es256_issuer) for _ in range(3))
    await counted.verify(first)
    await counted.verify(second)
    counted.peek(first)
    await counted.verify(third)
    assert [counted.peek(token) is not None for token in (first, second, third)] == [
        True,
        False,
        True,
    ]


@pytest.mark.parametrize("whole_user", [False, True])
async def test_revocation_is_seen_at_once_by_remembered_tokens(
    es256_issuer: TokenIssuer,
    counted: TokenVerifier,
    revocations: Revocations,
    whole_user: bool,
) -> None:
    token = access_token(es256_issuer)
    await counted.verify(token)
    if whole_user:
        revocations.revoke_user(USER)
    else:
        revocations.revoke_session(SESSION)
    assert counted.peek(token) is None
    with pytest.raises(Unauthenticated, match="session"):
        await counted.verify(token)


async def test_revocation_spares_the_users_other_sessions(
    es256_issuer: TokenIssuer, counted: TokenVerifier, revocations: Revocations
) -> None:
    revocations.revoke_session(SESSION)
    other = es256_issuer.access_token(user_id=USER, session_id=SessionId(uuid7())).token
    assert (await counted.verify(other)).user_id == USER


async def test_keys_that_cannot_be_had_are_no_fault_of_the_token(
    es256_issuer: TokenIssuer, counted: TokenVerifier, counting_keys: CountingKeys
) -> None:
    token = access_token(es256_issuer)
    counting_keys.available = False
    with pytest.raises(Unavailable) as answer:
        await counted.verify(token)
    assert answer.value.status == 503
    counting_keys.available = True
    await counted.verify(token)


async def test_a_wrong_algorithm_costs_no_look_up(
    counted: TokenVerifier, counting_keys: CountingKeys
) -> None:
    token = access_token(TokenIssuer(key=SigningKey.from_secret("s" * 32)))
    with pytest.raises(Unauthenticated):
        await counted.verify(token)
    assert counting_keys.lookups == 0


async def test_a_token_that_outlives_its_revocation_is_refused(
    es256_issuer: TokenIssuer, counted: TokenVerifier, revocations: Revocations
) -> None:
    lifetime = int(revocations.lifetime_seconds)
    await counted.verify(access_token(replace(es256_issuer, access_lifetime_seconds=lifetime)))
    with pytest.raises(Unauthenticated, match="too long"):
        await counted.verify(
            access_token(replace(es256_issuer, access_lifetime_seconds=lifetime + 1))
        )


HOSTILE = ["", " ", ".", "é.é.é", "\ud800.a.b", "a.b.c\n", "\x00", "a" * (MAX_TOKEN_BYTES + 1)]


@pytest.mark.parametrize("text", HOSTILE, ids=[repr(text)[:12] for text in HOSTILE])
async def test_any_text_is_refused_in_good_order(verifier: TokenVerifier, text: str) -> None:
    assert verifier.peek(text) is None
    for verify in (verifier.verify, verifier.verify_service):
        with pytest.raises(Unauthenticated):
            await verify(text)


async def test_white_space_around_a_good_token_makes_it_a_bad_one(
    issuer: TokenIssuer, verifier: TokenVerifier
) -> None:
    token = access_token(issuer)
    await verifier.verify(token)
    for spoilt in (f"{token}\n", f" {token}", f"{token} "):
        with pytest.raises(Unauthenticated):
            await verifier.verify(spoilt)


@settings(
    deadline=None, max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.one_of(st.text(), st.lists(st.binary(), min_size=1, max_size=5)))
def test_no_text_gets_anything_but_a_refusal(
    verifier: TokenVerifier, made_up: str | list[bytes]
) -> None:
    token = made_up if isinstance(made_up, str) else ".".join(part.hex() for part in made_up)
    with pytest.raises(Unauthenticated):
        asyncio.run(verifier.verify(token))


@settings(
    deadline=None, max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_a_token_with_one_character_changed_is_refused(
    issuer: TokenIssuer, verifier: TokenVerifier, data: st.DataObject
) -> None:
    token = access_token(issuer)
    at = data.draw(st.integers(0, len(token) - 1))
    other = data.draw(st.sampled_from("AZaz09-_."))
    spoilt = token[:at] + other + token[at + 1 :]
    if spoilt != token:
        with pytest.raises(Unauthenticated):
            asyncio.run(verifier.verify(spoilt))
