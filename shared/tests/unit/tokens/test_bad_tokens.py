import pytest

from sharezync_shared.problems import Unauthenticated
from sharezync_shared.tokens.issuer import TokenIssuer
from sharezync_shared.tokens.verifier import TokenVerifier
from sharezync_testkit.bad_tokens import (
    BAD_SERVICE_TOKENS,
    BAD_TOKENS,
    bad_token,
    bad_tokens,
    good_token,
)


@pytest.mark.parametrize("name", BAD_TOKENS)
async def test_users_tokens_are_refused(
    name: str, issuer: TokenIssuer, verifier: TokenVerifier
) -> None:
    await verifier.verify(good_token(issuer))
    token = bad_token(name, issuer)
    for _ in range(2):  # what was refused is not remembered as good
        with pytest.raises(Unauthenticated):
            await verifier.verify(token)
        assert verifier.peek(token) is None


@pytest.mark.parametrize("name", BAD_SERVICE_TOKENS)
async def test_services_tokens_are_refused(
    name: str, issuer: TokenIssuer, verifier: TokenVerifier
) -> None:
    await verifier.verify_service(good_token(issuer, "service"))
    token = bad_token(name, issuer, "service")
    for _ in range(2):
        with pytest.raises(Unauthenticated):
            await verifier.verify_service(token)


def test_every_header_can_carry_every_bad_token(issuer: TokenIssuer) -> None:
    for kind in ("user", "service"):
        for name, token in bad_tokens(issuer, kind):
            assert token, name
            assert all(33 <= ord(character) <= 126 for character in token), name
            assert token != good_token(issuer, kind), name
