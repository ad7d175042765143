"""How files are served: media types, dispositions, signatures."""

from urllib.parse import parse_qs, unquote, urlsplit
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sharezync_shared.filenames import clean_name
from sharezync_shared.ids import uuid7
from sharezync_storage.media_types import clean_media_type
from sharezync_storage.problems import SignatureExpired, SignatureInvalid
from sharezync_storage.serving import content_disposition, content_type
from sharezync_storage.signatures import Signer

UNKNOWN = "application/octet-stream"


@pytest.mark.parametrize(
    ("said", "believed"),
    [
        ("image/png", "image/png"),
        ("Image/PNG; charset=x", "image/png"),
        (" text/plain ", "text/plain"),
        ("application/vnd.openxmlformats-officedocument.wordprocessingml.document",) * 2,
        ("image/svg+xml", "image/svg+xml"),
        (None, UNKNOWN),
        ("", UNKNOWN),
        ("nonsense", UNKNOWN),
        ("a/b/c", UNKNOWN),
        ("text/html\r\nX: y", UNKNOWN),
        ("téxt/plain", UNKNOWN),
        ("x/" + "y" * 100, UNKNOWN),
    ],
)
def test_media_types_are_taken_without_parameters_or_not_at_all(
    said: str | None, believed: str
) -> None:
    assert clean_media_type(said) == believed


@pytest.mark.parametrize("mime", ["image/png", "video/mp4", "audio/ogg", "text/plain"])
def test_harmless_media_are_shown_in_place(mime: str) -> None:
    assert content_disposition("a", mime).startswith("inline;")


@pytest.mark.parametrize(
    "mime",
    ["text/html", "image/svg+xml", "application/pdf", "text/xml", "application/xhtml+xml", UNKNOWN],
)
def test_all_others_are_attachments(mime: str) -> None:
    assert content_disposition("a", mime).startswith("attachment;")


def test_text_has_a_charset_so_that_nobody_guesses() -> None:
    assert content_type("text/plain") == "text/plain; charset=utf-8"
    assert content_type("image/png") == "image/png"


def test_plain_names_go_once_and_others_twice() -> None:
    assert content_disposition("a b.txt", UNKNOWN) == 'attachment; filename="a b.txt"'
    assert content_disposition("naïve €.txt", UNKNOWN) == (
        "attachment; filename=\"na_ve _.txt\"; filename*=UTF-8''na%C3%AFve%20%E2%82%AC.txt"
    )


@given(st.text())
def test_no_name_breaks_out_of_the_header(text: str) -> None:
    name = clean_name(text)
    value = content_disposition(name, UNKNOWN)
    assert value.isascii()
    assert value.isprintable()
    assert value.count('"') == 2
    if "filename*" in value:
        assert unquote(value.rpartition("UTF-8''")[2]) == name


# --- signatures ----------------------------------------------------------------------------------


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
