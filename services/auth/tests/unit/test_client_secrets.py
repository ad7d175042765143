from base64 import b64encode
from urllib.parse import quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sharezync_auth.api.tokens import ShownSecret, shown_secret
from sharezync_auth.errors import InvalidClient, InvalidRequest

BODY = {"client_id": "chat", "client_secret": "s3cret"}
WORDS = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]))


def basic(pair: bytes, scheme: str = "Basic") -> str:
    return f"{scheme} {b64encode(pair).decode()}"


@given(WORDS, WORDS)
def test_basic_carries_any_name_and_secret(name: str, secret: str) -> None:
    pair = f"{quote_plus(name)}:{quote_plus(secret)}".encode()
    assert shown_secret([basic(pair)], {}) == ShownSecret(name, secret)


@pytest.mark.parametrize(
    ("authorization", "given_parameters"),
    [
        ([], BODY),
        ([basic(b"chat:s3cret")], {}),
        ([basic(b"chat:s3cret", "bAsIc")], {}),
        ([basic(b"chat:s3cret")], {"client_id": "chat"}),  # some libraries name it twice
        (["Bearer some.access.token"], BODY),  # a proof of something else
    ],
)
def test_either_way_shows_the_same(
    authorization: list[str], given_parameters: dict[str, str]
) -> None:
    assert shown_secret(authorization, given_parameters) == ShownSecret("chat", "s3cret")


@pytest.mark.parametrize(
    ("authorization", "given_parameters", "refusal"),
    [
        ([], {}, InvalidClient),
        ([], {"client_id": "chat"}, InvalidClient),
        ([], {"client_secret": "s3cret"}, InvalidClient),
        (["Bearer some.access.token"], {}, InvalidClient),
        (["Basic"], {}, InvalidClient),
        (["Basic !!!"], {}, InvalidClient),
        ([basic(b"no colon")], {}, InvalidClient),
        ([basic(b"\xff:\xff")], {}, InvalidClient),
        ([basic(b"a%00b:c")], {}, InvalidClient),
        ([basic(b"chat:s3cret")], BODY, InvalidRequest),
        ([basic(b"chat:s3cret")], {"client_id": "storage"}, InvalidRequest),
        ([basic(b"chat:s3cret")] * 2, {}, InvalidRequest),
    ],
)
def test_no_proof_a_broken_one_and_two_are_refused(
    authorization: list[str], given_parameters: dict[str, str], refusal: type[Exception]
) -> None:
    with pytest.raises(refusal):
        shown_secret(authorization, given_parameters)


def test_a_secret_is_not_shown_by_accident() -> None:
    assert "s3cret" not in repr(shown_secret([], BODY))
