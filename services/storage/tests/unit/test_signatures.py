"""Signatures of links to files."""

from uuid import UUID

import pytest

from sharezync_shared.contracts.storage import MAX_URL_SECONDS
from sharezync_shared.ids import uuid7
from sharezync_storage.errors import SignatureExpired, SignatureInvalid
from sharezync_storage.settings import MAX_PART_URL_SECONDS
from sharezync_storage.signatures import Signer

FILE_ID = UUID("01936f0c-2b7e-7d33-8a53-6d9f4c1e2b70")


def test_a_signature_holds_until_it_runs_out() -> None:
    signer = Signer("secret")
    url = signer.path(FILE_ID, 1000)
    signer.check(FILE_ID, 1000, url, now=999.9)
    with pytest.raises(SignatureExpired):
        signer.check(FILE_ID, 1000, url, now=1000)


def test_a_signature_is_for_one_file_one_time_and_one_secret() -> None:
    signer = Signer("secret")
    url = signer.path(FILE_ID, 1000)
    for other, other_id, expires, asked in [
        (signer, uuid7(), 1000, url),
        (signer, FILE_ID, 1001, url.replace("1000", "1001")),
        (Signer("another"), FILE_ID, 1000, url),
        (signer, FILE_ID, 1000, url[:-1]),
        (signer, FILE_ID, 1000, url + "A"),
        (signer, FILE_ID, 1000, ""),
        (signer, FILE_ID, 1000, "ü\ud800"),
    ]:
        with pytest.raises(SignatureInvalid):
            other.check(other_id, expires, asked, now=900)


@pytest.mark.parametrize(
    ("written", "instead"),
    [
        ("expires=1000", "expires=01000"),
        ("expires=1000", "expires=+1000"),
        ("expires=1000", "expires=%31000"),
        ("expires=1000&", "&expires=1000&"),
        ("expires=1000", "expires=1000&expires=1000"),
        ("01936f0c-2b7e", "01936F0C-2B7E"),
        ("-", ""),
        ("?", "/?"),
        ("?expires", "?x=1&expires"),
    ],
)
def test_a_url_is_spelt_in_one_way_only(written: str, instead: str) -> None:
    signer = Signer("secret")
    url = signer.path(FILE_ID, 1000)
    assert written in url
    with pytest.raises(SignatureInvalid):
        signer.check(FILE_ID, 1000, url.replace(written, instead, 1), now=900)
    query = url.partition("?")[2].split("&")
    with pytest.raises(SignatureInvalid):
        signer.check(FILE_ID, 1000, f"{url.partition('?')[0]}?{query[1]}&{query[0]}", now=900)


def test_no_url_holds_for_longer_than_those_that_are_made() -> None:
    signer, now = Signer("secret"), 5000
    expires = now + MAX_URL_SECONDS
    signer.check(FILE_ID, expires, signer.path(FILE_ID, expires), now=now)
    expires += 3600
    with pytest.raises(SignatureInvalid):
        signer.check(FILE_ID, expires, signer.path(FILE_ID, expires), now=now)
    expires = now + MAX_PART_URL_SECONDS
    signer.check_part(FILE_ID, 1, expires, signer.part_path(FILE_ID, 1, expires), now=now)
    expires += 3600
    with pytest.raises(SignatureInvalid):
        signer.check_part(FILE_ID, 1, expires, signer.part_path(FILE_ID, 1, expires), now=now)
