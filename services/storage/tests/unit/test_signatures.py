"""Signatures of links to files."""

from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import pytest

from sharezync_shared.ids import uuid7
from sharezync_storage.problems import SignatureExpired, SignatureInvalid
from sharezync_storage.signatures import Signer


def signed(signer: Signer, file_id: UUID, expires: int) -> str:
    return parse_qs(urlsplit(signer.path(file_id, expires)).query)["signature"][0]


def test_a_signature_holds_until_it_runs_out() -> None:
    signer, file_id = Signer("secret"), uuid7()
    signature = signed(signer, file_id, 1000)
    signer.check(file_id, 1000, signature, now=999.9)
    with pytest.raises(SignatureExpired):
        signer.check(file_id, 1000, signature, now=1000)


def test_a_signature_is_for_one_file_one_time_and_one_secret() -> None:
    signer, file_id = Signer("secret"), uuid7()
    signature = signed(signer, file_id, 1000)
    for other, other_id, expires, text in [
        (signer, uuid7(), 1000, signature),
        (signer, file_id, 1001, signature),
        (Signer("another"), file_id, 1000, signature),
        (signer, file_id, 1000, signature[:-1]),
        (signer, file_id, 1000, signature + "A"),
        (signer, file_id, 1000, ""),
        (signer, file_id, 1000, "ü\ud800"),
    ]:
        with pytest.raises(SignatureInvalid):
            other.check(other_id, expires, text, now=0)
