"""What is believed of media types, and which of them a browser may show."""

import pytest

from sharezync_shared.media_types import INLINE, UNKNOWN, clean_media_type


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
    assert mime in INLINE


@pytest.mark.parametrize(
    "mime",
    ["text/html", "image/svg+xml", "application/pdf", "text/xml", "application/xhtml+xml", UNKNOWN],
)
def test_no_others_are(mime: str) -> None:
    assert mime not in INLINE
