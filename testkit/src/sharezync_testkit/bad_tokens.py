"""Tokens that no route may take, for every service to try on its own routes.

    @pytest.mark.parametrize("name", BAD_TOKENS)
    async def test_bad_tokens_are_refused(name, issuer, client):
        answer = await client.get("/v1/…", headers=bearer(bad_token(name, issuer)))
        assert answer.status_code == 401

Each is right in everything but in what its name says, so that a refusal is due to that. Show
beside it that `good_token(issuer)` is let in. All are visible ASCII: any header can carry them.
At `/internal/*`, take the names from `BAD_SERVICE_TOKENS` and say `kind="service"`.

Sources: RFC 8725 (JWT best practices); CVE-2015-9235, CVE-2017-11424, CVE-2022-29217, GHSA-xgmm
(none, and a public key in any spelling as HMAC secret), CVE-2018-0114 (`jwk`), CVE-2022-21449 (a
signature out of range), CVE-2024-53861 (part of an issuer), CVE-2026-32597 (`crit`),
CVE-2026-48523 (the algorithm of the token instead of the key's), GHSA-993g (keys from a file),
GHSA-w7vc (`b64`).
"""

import secrets
from base64 import b64encode
from collections.abc import Callable
from typing import Any, Final

from sharezync_shared.ids import uuid7
from sharezync_shared.tokens.claims import INTERNAL_SCOPE, MAX_TOKEN_BYTES, USER_SCOPE
from sharezync_shared.tokens.issuer import TokenIssuer
from sharezync_testkit.forger import ABSENT, Forger, TokenKind, good_token

__all__ = [
    "BAD_SERVICE_TOKENS",
    "BAD_TOKENS",
    "bad_token",
    "bad_tokens",
    "bearer",
    "good_token",
]


def bad_token(name: str, issuer: TokenIssuer, kind: TokenKind = "user") -> str:
    """Return the bad token of this name, made from a good one of `issuer` of `kind`."""
    return _ALL[name](Forger(issuer, kind))


def bad_tokens(issuer: TokenIssuer, kind: TokenKind = "user") -> list[tuple[str, str]]:
    """Return every bad token of `kind`, with its name."""
    names = BAD_TOKENS if kind == "user" else BAD_SERVICE_TOKENS
    return [(name, bad_token(name, issuer, kind)) for name in names]


def bearer(token: str) -> dict[str, str]:
    """Return the headers that carry `token`."""
    return {"Authorization": f"Bearer {token}"}


def _header(**header: Any) -> Callable[[Forger], str]:  # noqa: ANN401 - headers are any JSON
    return lambda f: f.signed(header=header)


def _claim(**claims: Any) -> Callable[[Forger], str]:  # noqa: ANN401 - claims are any JSON
    return lambda f: f.signed(claims)


_SIGNATURE: Final[dict[str, Callable[[Forger], str]]] = {
    "alg-none": lambda f: f.unsigned("none"),
    "alg-none-in-capitals": lambda f: f.unsigned("NONE"),
    "alg-none-with-a-signature": _header(alg="none"),
    "alg-absent": _header(alg=ABSENT),
    "alg-of-another-family": _header(alg="RS256"),
    "alg-in-a-list": _header(alg=["ES256", "HS256"]),
    "alg-in-lower-case": lambda f: f.signed(header={"alg": f.header()["alg"].lower()}),
    "alg-of-a-larger-curve": _header(alg="ES512"),
    "alg-of-another-curve": _header(alg="ES256K"),
    "alg-twice": lambda f: f.with_raw_header(f.header_json().replace(b"{", b'{"alg":"none",', 1)),
    "hs256-with-public-key-pem": lambda f: f.hs256(f.public_pem()),
    "hs256-with-public-key-pem-stripped": lambda f: f.hs256(f.public_pem().strip()),
    "hs256-with-public-key-pem-in-crlf": lambda f: f.hs256(f.public_pem().replace(b"\n", b"\r\n")),
    "hs512-with-public-key-pem": lambda f: f.with_hmac("HS512", f.public_pem()),
    "hs256-with-public-key-der": lambda f: f.hs256(f.public_der()),
    "hs256-with-public-key-der-in-base64": lambda f: f.hs256(b64encode(f.public_der())),
    "hs256-with-public-key-ssh": lambda f: f.hs256(f.public_ssh()),
    "hs256-with-public-key-jwk": lambda f: f.hs256(f.public_jwk()),
    "hs256-with-public-key-jwks": lambda f: f.hs256(b'{"keys": [' + f.public_jwk() + b"]}"),
    "hs256-with-kid": lambda f: f.hs256(f.header()["kid"].encode()),
    "hs256-with-empty-secret": lambda f: f.hs256(b""),
    "signature-of-another-key": lambda f: f.signed(key=f.stranger()),
    "signature-of-another-token": Forger.swapped,
    "signature-empty": lambda f: f.good().rpartition(".")[0] + ".",
    "signature-of-zeros": lambda f: f.good().rpartition(".")[0] + "." + "A" * 86,
    "signature-of-ones": lambda f: f.good().rpartition(".")[0] + "." + "_" * 85 + "w",
    "signature-cut-short": lambda f: f.good()[:-4],
    "signature-padded": lambda f: f.good() + "==",
}

_HEADER: Final[dict[str, Callable[[Forger], str]]] = {
    "kid-unknown": _header(kid="no-such-key"),
    "kid-absent": _header(kid=ABSENT),
    "kid-of-a-path": _header(kid="../../../../dev/null"),
    "kid-of-a-number": _header(kid=1),
    "kid-too-long": _header(kid="k" * 1000),
    "typ-jwt": _header(typ="JWT"),
    "typ-absent": _header(typ=ABSENT),
    "typ-of-a-logout-token": _header(typ="logout+jwt"),
    "header-jku": _header(jku="https://keys.invalid/jwks.json"),
    "header-jku-of-a-file": _header(jku="file:///dev/null"),
    "header-x5u": _header(x5u="https://keys.invalid/key.pem"),
    "header-x5c": _header(x5c=["MIIB"]),
    "header-jwk": Forger.with_own_jwk,
    "header-crit": _header(crit=["exp"], exp=1),
    "header-crit-empty": _header(crit=[]),
    "header-b64-false": _header(b64=False, crit=["b64"]),
    "header-b64-false-detached": Forger.detached,
    "header-b64-true": _header(b64=True),
    "header-cty-nested": _header(cty="JWT"),
    "header-never-heard-of": _header(http="//example.invalid"),
    "header-zip": _header(zip="DEF"),
}

_ISSUER_AND_AUDIENCE: Final[dict[str, Callable[[Forger], str]]] = {
    "aud-of-others": _claim(aud="another-product"),
    "aud-among-several": lambda f: f.signed({"aud": [f.audience(), "another-product"]}),
    "aud-in-a-list": lambda f: f.signed({"aud": [f.audience()]}),
    "aud-longer": lambda f: f.signed({"aud": f.audience() + ".other"}),
    "aud-absent": _claim(aud=ABSENT),
    "aud-of-the-other-audience": lambda f: f.signed({"aud": f.of_other_kind().audience()}),
    "iss-of-others": _claim(iss="https://issuer.invalid"),
    "iss-part-of-ours": lambda f: f.signed({"iss": f.issuer.issuer[:-1]}),
    "iss-longer": lambda f: f.signed({"iss": f.issuer.issuer + ".invalid"}),
    "iss-empty": _claim(iss=""),
    "iss-in-capitals": lambda f: f.signed({"iss": f.issuer.issuer.upper()}),
    "iss-in-a-list": lambda f: f.signed({"iss": [f.issuer.issuer]}),
    "iss-absent": _claim(iss=ABSENT),
    "token-of-the-other-audience": lambda f: f.of_other_kind().good(),
    "scope-of-the-other-audience": lambda f: f.signed(
        {"scope": INTERNAL_SCOPE if f.kind == "user" else USER_SCOPE}
    ),
    "scope-in-a-list": _claim(scope=[USER_SCOPE, INTERNAL_SCOPE]),
    "scope-empty": _claim(scope=""),
    "scope-absent": _claim(scope=ABSENT),
}

_TIME: Final[dict[str, Callable[[Forger], str]]] = {
    "exp-absent": _claim(exp=ABSENT),
    "exp-null": _claim(exp=None),
    "exp-long-ago": lambda f: f.timed(iat=-7200, nbf=-7200, exp=-7000),
    "exp-just-past-the-leeway": lambda f: f.timed(iat=-200, nbf=-200, exp=-12),
    "exp-as-text": lambda f: f.signed({"exp": str(f.claims()["exp"])}),
    "exp-with-a-fraction": lambda f: f.signed({"exp": f.claims()["exp"] - 0.5}),
    "exp-infinite": _claim(exp=float("inf")),
    "exp-not-a-number": _claim(exp=float("nan")),
    "exp-true": _claim(exp=True),
    "exp-enormous": _claim(exp=10**400),
    "nbf-in-the-future": lambda f: f.timed(nbf=120),
    "nbf-absent": _claim(nbf=ABSENT),
    "iat-in-the-future": lambda f: f.timed(iat=120),
    "iat-negative": _claim(iat=-1),
    "iat-absent": _claim(iat=ABSENT),
}

_SUBJECT: Final[dict[str, Callable[[Forger], str]]] = {
    "sub-absent": _claim(sub=ABSENT),
    "sub-empty": _claim(sub=""),
    "sub-of-a-number": _claim(sub=1),
    "sub-of-neither-kind": _claim(sub="admin"),
    "sub-with-line-feed": lambda f: f.signed({"sub": f.claims()["sub"] + "\n"}),
    "sub-in-capitals": lambda f: f.signed({"sub": f.claims()["sub"].upper()}),
    "sub-of-the-other-audience": lambda f: f.signed({"sub": f.of_other_kind().claims()["sub"]}),
    "jti-absent": _claim(jti=ABSENT),
    "jti-of-a-number": _claim(jti=7),
}

_NO_TOKEN: Final[dict[str, Callable[[Forger], str]]] = {
    "oversize": _claim(padding="x" * MAX_TOKEN_BYTES),
    "oversize-header": lambda f: "A" * (MAX_TOKEN_BYTES + 1) + f.good(),
    "refresh-token": lambda _: "szr_" + secrets.token_urlsafe(37),
    "signed-refresh-token": lambda f: f.signed(
        {"szr": "szr_" + secrets.token_urlsafe(37)}, {"typ": "rt+jwt"}
    ),
    "refresh-token-in-parts": lambda _: f"v1.{secrets.token_urlsafe(24)}.{uuid7().hex}",
    "word": lambda _: "null",
    "dots": lambda _: "..",
    "two-parts": lambda f: f.good().rpartition(".")[0],
    "four-parts": lambda f: f.good() + ".AAAA",
    "five-parts-like-jwe": lambda f: f.good() + ".AAAA.AAAA",
    "not-base64url": lambda f: "+/" + f.good()[2:],
    "header-not-json": lambda f: f.with_raw_header(b"{alg:ES256}"),
    "header-not-an-object": lambda f: f.with_raw_header(b'["ES256"]'),
    "header-not-utf8": lambda f: f.with_raw_header(b"\xff\xfe\xff"),
    "header-too-deep": lambda f: f.with_raw_header(b"[" * 4000),
    "payload-of-a-good-token": lambda f: f.signed_payload(f.good().encode()),
    "payload-of-a-good-token-quoted": lambda f: f.signed_payload(f'"{f.good()}"'.encode()),
    "payload-not-json": lambda f: f.signed_payload(b"sub=me"),
    "payload-not-an-object": lambda f: f.signed_payload(b"[]"),
    "payload-too-deep": lambda f: f.signed_payload(b'{"a":' * 1000),
}

# A service token has no session, no device, and no revocation that could be forgotten.
_USERS_ONLY: Final[dict[str, Callable[[Forger], str]]] = {
    "sid-absent": _claim(sid=ABSENT),
    "sid-of-no-uuid": _claim(sid="everything"),
    "sid-of-a-number": _claim(sid=1),
    "did-of-no-uuid": _claim(did="*"),
    "exp-in-ten-years": lambda f: f.timed(exp=10 * 365 * 24 * 3600),
}

_FOR_BOTH: Final = {
    **_SIGNATURE, **_HEADER, **_ISSUER_AND_AUDIENCE, **_TIME, **_SUBJECT, **_NO_TOKEN,
}  # fmt: skip
_ALL: Final = {**_FOR_BOTH, **_USERS_ONLY}

BAD_TOKENS: Final = tuple(_ALL)
"""The names of bad tokens of users, for `pytest.mark.parametrize`."""

BAD_SERVICE_TOKENS: Final = tuple(_FOR_BOTH)
"""The names of bad tokens for `/internal/`."""
