"""Holds a real signing key, and does with it what the issuer never would."""

import hashlib
import hmac
import json
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

import jwt
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from sharezync_shared.ids import DeviceId, SessionId, UserId, uuid7
from sharezync_shared.tokens.issuer import TokenIssuer
from sharezync_shared.tokens.signing import SigningKey

TokenKind = Literal["user", "service"]

ABSENT: Final = object()
"""In place of a value: the claim or header is left out."""


def good_token(issuer: TokenIssuer, kind: TokenKind = "user") -> str:
    """Return a token that routes of this kind must take."""
    if kind == "service":
        return issuer.service_token("chat").token
    return issuer.access_token(
        user_id=UserId(uuid7()), session_id=SessionId(uuid7()), device_id=DeviceId(uuid7())
    ).token


@dataclass(frozen=True)
class Forger:
    """Makes tokens from good ones of `kind`, each wrong in one way."""

    issuer: TokenIssuer
    kind: TokenKind

    def good(self) -> str:
        """Return a token in which nothing is wrong."""
        return good_token(self.issuer, self.kind)

    def header(self) -> dict[str, Any]:
        """Return the header of a good token."""
        return jwt.get_unverified_header(self.good())

    def header_json(self) -> bytes:
        """Return that as it is signed."""
        return json.dumps(self.header()).encode()

    def claims(self) -> dict[str, Any]:
        """Return the claims of a good token."""
        claims: dict[str, Any] = jwt.decode(self.good(), options={"verify_signature": False})
        return claims

    def signed(
        self,
        claims: Mapping[str, Any] | None = None,
        header: Mapping[str, Any] | None = None,
        *,
        key: SigningKey | None = None,
    ) -> str:
        """Sign a good token anew, with these claims and headers changed."""
        payload = json.dumps(_changed(self.claims(), claims or {})).encode()
        return self.signed_payload(payload, header, key=key)

    def signed_payload(
        self,
        payload: bytes,
        header: Mapping[str, Any] | None = None,
        *,
        key: SigningKey | None = None,
    ) -> str:
        """Sign these bytes where the claims should be."""
        signer = key or self.issuer.key
        signed = f"{_json_part(_changed(self.header(), header or {}))}.{base64url(payload)}"
        algorithm = jwt.get_algorithm_by_name(signer.algorithm)
        return f"{signed}.{base64url(algorithm.sign(signed.encode(), signer.private))}"

    def timed(self, **seconds: int) -> str:
        """Sign a good token with these times, in seconds from now."""
        now = int(self.issuer.clock())
        return self.signed({name: now + later for name, later in seconds.items()})

    def with_raw_header(self, header: bytes) -> str:
        """Put these bytes in place of the header; the signature is lost, as it must be."""
        return f"{base64url(header)}.{self.good().partition('.')[2]}"

    def unsigned(self, algorithm: str) -> str:
        """Claim that no signature is needed."""
        payload = self.good().split(".")[1]
        return f"{_json_part({**self.header(), 'alg': algorithm})}.{payload}."

    def hs256(self, secret: bytes) -> str:
        """Sign as if `secret` were the key of an HMAC."""
        return self.with_hmac("HS256", secret)

    def with_hmac(self, algorithm: Literal["HS256", "HS512"], secret: bytes) -> str:
        """Sign with this HMAC."""
        payload = self.good().split(".")[1]
        signed = f"{_json_part({**self.header(), 'alg': algorithm})}.{payload}"
        digest = hashlib.sha256 if algorithm == "HS256" else hashlib.sha512
        return f"{signed}.{base64url(hmac.digest(secret, signed.encode(), digest))}"

    def detached(self) -> str:
        """Leave the payload out, as RFC 7797 has it."""
        header = {**self.header(), "b64": False, "crit": ["b64"]}
        return f"{_json_part(header)}..{self.good().split('.')[2]}"

    def swapped(self) -> str:
        """Put the signature of one good token under another."""
        return f"{self.good().rpartition('.')[0]}.{self.good().rpartition('.')[2]}"

    def with_own_jwk(self) -> str:
        """Bring the key along in the header."""
        own = SigningKey.generate()
        header = {"jwk": own.public_jwk(), "alg": own.algorithm, "kid": own.kid}
        return self.signed(header=header, key=own)

    def stranger(self) -> SigningKey:
        """Return another key of the same kind, under the name of the real one."""
        if self.issuer.key.algorithm == "HS256":
            return SigningKey.from_secret("a secret that is long enough, but is not ours")
        return replace(SigningKey.generate(), kid=self.issuer.key.kid)

    def published(self) -> SigningKey:
        """Return a key whose public half everybody knows; a made-up one in the one-secret mode."""
        return self.issuer.key if self.issuer.key.algorithm == "ES256" else SigningKey.generate()

    def public_pem(self) -> bytes:
        """Return the public key as PEM."""
        public = self.published().public_key()
        return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    def public_der(self) -> bytes:
        """Return the public key as DER."""
        public = self.published().public_key()
        return public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

    def public_ssh(self) -> bytes:
        """Return the public key as a line of an `authorized_keys` file."""
        return self.published().public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)

    def public_jwk(self) -> bytes:
        """Return the public key as it stands in the JWKS document."""
        return json.dumps(self.published().public_jwk()).encode()

    def audience(self) -> str:
        """Return the audience of tokens of this kind."""
        return self.issuer.audience if self.kind == "user" else self.issuer.internal_audience

    def of_other_kind(self) -> "Forger":
        """Return a forger of tokens of the other kind."""
        return Forger(self.issuer, "service" if self.kind == "user" else "user")


def base64url(data: bytes) -> str:
    """Return the unpadded base64url of RFC 7515 §2."""
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def _json_part(content: Mapping[str, Any]) -> str:
    return base64url(json.dumps(content).encode())


def _changed(before: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in {**before, **changes}.items() if v is not ABSENT}
