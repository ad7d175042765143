"""Tokens: minting, verifying, revoking, and the credentials that services show each other.

| | |
|---|---|
| `TokenIssuer`, `SigningKey` | auth signs access and service tokens |
| `TokenVerifier` | every service verifies them, by keys from a `KeySource` |
| `JwksKeys`, `StaticKeys`, `SecretKeys` | the key sources |
| `Revocations` | sessions and users that are refused before their tokens run out |
| `Caller`, `InternalCaller` | who is calling, as FastAPI dependencies |
| `ServiceCredentials` | the token with which a service calls another |
"""

from sharezync_shared.tokens.bearer import bearer_token
from sharezync_shared.tokens.claims import Identity, ServiceIdentity
from sharezync_shared.tokens.credentials import (
    CredentialsUnavailable,
    ServiceCredentials,
    derive_service_secret,
)
from sharezync_shared.tokens.dependencies import Caller, InternalCaller
from sharezync_shared.tokens.issuer import IssuedToken, TokenIssuer
from sharezync_shared.tokens.jwks import JWKS_PATH, JwksKeys
from sharezync_shared.tokens.keys import (
    KeySource,
    KeysUnavailable,
    SecretKeys,
    StaticKeys,
    UnknownKey,
    WeakSecret,
)
from sharezync_shared.tokens.revocations import Revocations
from sharezync_shared.tokens.signing import SigningKey
from sharezync_shared.tokens.verifier import TokenVerifier

__all__ = [
    "JWKS_PATH",
    "Caller",
    "CredentialsUnavailable",
    "Identity",
    "InternalCaller",
    "IssuedToken",
    "JwksKeys",
    "KeySource",
    "KeysUnavailable",
    "Revocations",
    "SecretKeys",
    "ServiceCredentials",
    "ServiceIdentity",
    "SigningKey",
    "StaticKeys",
    "TokenIssuer",
    "TokenVerifier",
    "UnknownKey",
    "WeakSecret",
    "bearer_token",
    "derive_service_secret",
]
