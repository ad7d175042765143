"""Forms, taken apart as they come: in whatever pieces, and however broken."""

from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sharezync_storage.api.forms import FileForm
from sharezync_storage.errors import BodyBroken, FormInvalid, NotAForm

BOUNDARY = "xYzZY"
TYPE = f"multipart/form-data; boundary={BOUNDARY}"
FILE = 'form-data; name="file"; filename="a.txt"'


def part(disposition: str, data: bytes, *headers: str) -> bytes:
    lines = [f"--{BOUNDARY}", f"Content-Disposition: {disposition}", *headers, "", ""]
    return "\r\n".join(lines).encode() + data + b"\r\n"


def form_of(*parts: bytes) -> bytes:
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()


async def in_pieces(body: bytes, size: int) -> AsyncIterator[bytes]:
    for start in range(0, len(body), size):
        yield body[start : start + size]


async def read(
    body: bytes, size: int = 1 << 20, content_type: str = TYPE, *, length: int | None = None
) -> tuple[FileForm, bytes]:
    form = FileForm(content_type, in_pieces(body, size), length)
    await form.open()
    return form, b"".join([piece async for piece in form.pieces()])


@given(
    data=st.one_of(
        st.binary(max_size=300),
        st.sampled_from([b"", b"\r\n", b"--", b"\r\n--xYzZ", b"\r\n--xYzZ!\r\n--xYzZ", b"\r" * 50]),
    ),
    size=st.integers(1, 100),
)
async def test_a_file_comes_out_as_it_went_in_however_it_is_cut(data: bytes, size: int) -> None:
    body = form_of(part('form-data; name="note"', b"hi"), part(FILE, data, "Content-Type: a/b"))
    form, got = await read(body, size)
    assert (form.name, form.mime, got) == ("a.txt", "a/b", data)


async def test_the_length_of_the_file_is_guessed_from_that_of_the_body() -> None:
    data = bytes(100_000)
    body = form_of(part('form-data; name="before"', b"x" * 50), part(FILE, data))
    for size in (1 << 20, 64 * 1024, 7):
        form, _ = await read(body, size, length=len(body))
        assert abs(form.expected_bytes - len(data)) <= 13
    assert (await read(body, 1000))[0].expected_bytes == 0


@pytest.mark.parametrize(
    ("disposition", "name"),
    [
        ('form-data; name="file"; filename="naïve €.txt"', "naïve €.txt"),
        ('form-data; name="file"; filename=""', ""),
        ("form-data; name=file; filename=x.txt", "x.txt"),
        ('form-data; name="file"; filename="a;b.txt"', "a;b.txt"),
        ("form-data; name=\"file\"; filename*=UTF-8''na%C3%AFve%20%E2%82%AC.txt", "naïve €.txt"),
        ('form-data; name="file"; filename="n.txt"; filename*=utf-8\'en\'%C3%AF.txt', "ï.txt"),
        ("form-data; filename*=UTF-8''%C3%AF.txt; filename=x; name=\"file\"", "ï.txt"),
        ("form-data; name=\"file\"; filename*=iso-8859-1''%EF.txt", "ï.txt"),
        ('form-data; name="file"; filename="a; filename*=utf-8\'\'b"', "a; filename*=utf-8''b"),
        ("form-data; name=\"file\"; filename=x; filename*=utf-7''b", "x"),
        ('form-data; name="file"; filename="say \\"hi\\".txt"', 'say "hi".txt'),
    ],
)
async def test_names_are_read(disposition: str, name: str) -> None:
    form, _ = await read(form_of(part(disposition, b"x")))
    assert form.name == name


@pytest.mark.parametrize("content_type", ["", "application/json", "multipart/mixed; boundary=x"])
async def test_other_content_types_are_refused(content_type: str) -> None:
    with pytest.raises(NotAForm):
        await read(b"{}", content_type=content_type)


@pytest.mark.parametrize(
    "content_type",
    ["multipart/form-data", "multipart/form-data; boundary=", f"{TYPE}{'x' * 300}"],
)
async def test_a_form_needs_a_boundary(content_type: str) -> None:
    with pytest.raises(FormInvalid):
        await read(form_of(part(FILE, b"x")), content_type=content_type)


@pytest.mark.parametrize(
    "body",
    [
        form_of(),
        form_of(part('form-data; name="other"; filename="a"', b"x")),
        form_of(part('form-data; name="file"', b"just text")),
        form_of(part(FILE, b"x"), part(FILE, b"y")),
        form_of(part("", b"x")),
        form_of(*[part(f'form-data; name="f{i}"', b"") for i in range(20)], part(FILE, b"x")),
        form_of(part('form-data; name="big"', bytes(70_000)), part(FILE, b"x")),
        form_of(part(FILE, b"x"), part('form-data; name="big"', bytes(70_000))),
        form_of(part(FILE, b"x", *[f"X-{i}: y" for i in range(50)])),
        form_of(part(FILE, b"x", "X: " + "y" * 10_000)),
        form_of(part(FILE, b"x", "no header at all")),
        b"garbage",
        b"\r\n\r\n\r\n",
    ],
)
@pytest.mark.parametrize("size", [1 << 20, 11])
async def test_what_is_no_form_with_one_file_is_refused(body: bytes, size: int) -> None:
    with pytest.raises((FormInvalid, BodyBroken)):
        await read(body, size)


@given(cut=st.integers(0, 10_000), size=st.integers(1, 200))
async def test_a_form_that_breaks_off_anywhere_is_never_taken_for_whole(
    cut: int, size: int
) -> None:
    body = form_of(part('form-data; name="note"', b"hi"), part(FILE, b"some content" * 20))
    end = len(body) - len(b"\r\n")  # the last line break is not part of the form
    with pytest.raises((FormInvalid, BodyBroken)):
        await read(body[: cut % end], size)


@given(st.binary(max_size=500), st.integers(1, 50))
async def test_garbage_is_refused_and_nothing_else_happens(garbage: bytes, size: int) -> None:
    body = f"--{BOUNDARY}\r\n".encode() + garbage
    with pytest.raises((FormInvalid, BodyBroken)):
        await read(body, size)
