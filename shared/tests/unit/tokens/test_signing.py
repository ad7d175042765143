import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from sharezync_shared.ids import SessionId, UserId, uuid7
from sharezync_shared.tokens.issuer import TokenIssuer
from sharezync_shared.tokens.keys import SecretKeys, StaticKeys, WeakSecret
from sharezync_shared.tokens.signing import SigningKey

PEM = (Encoding.PEM, PrivateFormat.PKCS8)


def test_a_key_comes_back_from_pem_under_the_same_name() -> None:
    key = SigningKey.generate()
    again = SigningKey.from_pem(key.to_pem())
    assert (again.kid, again.algorithm) == (key.kid, "ES256")
    assert again.public_jwk() == key.public_jwk()


def test_the_published_key_is_public_and_named_by_its_thumbprint() -> None:
    key = SigningKey.generate()
    published = key.public_jwk()
    assert published.keys() == {"kty", "crv", "x", "y", "kid", "use", "alg"}
    assert jwt.PyJWK(published).key.public_numbers() == key.public_key().public_numbers()


def test_the_thumbprint_is_that_of_rfc_7638() -> None:
    # Computed apart from our code: SHA-256 over the JSON of RFC 7638 §3.2 for private value 1,
    # whose public point is the generator of P-256 (SEC 2, §2.4.2).
    pem = ec.derive_private_key(1, ec.SECP256R1()).private_bytes(*PEM, NoEncryption()).decode()
    assert SigningKey.from_pem(pem).kid == "xx0BcA-wMohw8atYDJOe6peGModklG2wRHBlXHMvl0M"


@pytest.mark.parametrize(
    "pem",
    [
        ec.generate_private_key(ec.SECP384R1()).private_bytes(*PEM, NoEncryption()),
        rsa.generate_private_key(65537, 2048).private_bytes(*PEM, NoEncryption()),
        ec.generate_private_key(ec.SECP256R1()).private_bytes(*PEM, BestAvailableEncryption(b"x")),
        b"no key",
    ],
    ids=["P-384", "RSA", "encrypted", "text"],
)
def test_only_plain_p256_private_keys_are_loaded(pem: bytes) -> None:
    with pytest.raises(ValueError):
        SigningKey.from_pem(pem.decode())


def test_private_keys_do_not_show_when_printed() -> None:
    secret = "a secret of more than thirty-two bytes"
    assert secret not in repr(SigningKey.from_secret(secret))
    assert "private" not in repr(SigningKey.generate())


def test_the_one_secret_has_no_public_half() -> None:
    key = SigningKey.from_secret("s" * 32)
    for part in (key.public_jwk, key.public_key, key.to_pem):
        with pytest.raises(TypeError):
            part()


@pytest.mark.parametrize("make", [SecretKeys, SigningKey.from_secret])
def test_a_short_secret_is_refused_with_a_way_out(make: type[SecretKeys]) -> None:
    make("s" * 32)
    with pytest.raises(WeakSecret, match=r"at least 32.*openssl rand"):
        make("s" * 31)


def test_a_public_key_is_no_secret() -> None:
    with pytest.raises(WeakSecret, match="asymmetric"):
        SecretKeys(SigningKey.generate().to_pem())


def test_keys_of_other_curves_cannot_verify() -> None:
    with pytest.raises(ValueError, match="P-256"):
        StaticKeys({"k": ec.generate_private_key(ec.SECP384R1()).public_key()})


def test_tokens_carry_the_claims_that_are_promised(issuer: TokenIssuer) -> None:
    issued = issuer.access_token(user_id=UserId(uuid7()), session_id=SessionId(uuid7()))
    assert jwt.get_unverified_header(issued.token) == {
        "alg": issuer.key.algorithm,
        "kid": issuer.key.kid,
        "typ": "at+jwt",
    }
    claims = jwt.decode(issued.token, options={"verify_signature": False})
    assert claims.keys() == {"iss", "aud", "sub", "sid", "jti", "iat", "nbf", "exp", "scope"}
    assert issued.expires_in_seconds == 600
    service = jwt.decode(issuer.service_token("chat").token, options={"verify_signature": False})
    assert service["aud"] == "sharezync.internal"
    assert service["sub"] == "service:chat"
    assert service["exp"] - service["iat"] == 300


def test_no_two_tokens_share_an_id(issuer: TokenIssuer) -> None:
    assert len({issuer.service_token("chat").token_id for _ in range(100)}) == 100


@pytest.mark.parametrize("name", ["", "Chat", "chat:admin", "a b", "x" * 33])
def test_only_names_of_services_get_service_tokens(issuer: TokenIssuer, name: str) -> None:
    with pytest.raises(ValueError):
        issuer.service_token(name)
