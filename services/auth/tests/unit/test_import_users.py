"""What the lines of an import say."""

import io

import pytest

from sharezync_auth.commands.import_users import read
from sharezync_auth.usecases.importing import ImportedUser

HASH = "$2b$12$" + "a" * 53
ADA = ImportedUser("ada", "ada@example.com", HASH)


def read_text(text: str | bytes) -> dict[int, ImportedUser | str]:
    raw = text.encode() if isinstance(text, str) else text
    stream = io.TextIOWrapper(io.BytesIO(raw), encoding="utf-8", errors="surrogateescape")
    return dict(read(stream))


def reasons(text: str | bytes) -> dict[int, str]:
    return {line: row for line, row in read_text(text).items() if isinstance(row, str)}


@pytest.mark.parametrize(
    "text",
    [
        f"ada,ada@example.com,{HASH}",
        f"ada,ada@example.com,{HASH}\n",
        f"ada,ada@example.com,{HASH}\r\n",
        f"\ufeffada,ada@example.com,{HASH}\n",
        f'"ada", ada@example.com ,"{HASH}"\n',
    ],
)
def test_a_row_is_read_however_it_is_written(text: str) -> None:
    assert read_text(text) == {1: ADA}


@pytest.mark.parametrize(
    "heading", ["username,email,bcrypt_hash", '\ufeff"Username", Email,BCRYPT_HASH']
)
def test_a_heading_and_empty_lines_say_nothing_and_are_counted(heading: str) -> None:
    rows = read_text(f"{heading}\n\n  \nada,ada@example.com,{HASH}\n{heading.lstrip()}\n")
    assert rows[4] == ADA
    assert isinstance(rows[5], str)  # a heading comes first or not at all
    assert len(rows) == 2


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("ada", "has 1 column, not the three"),
        ("ada,ada@example.com", "has 2 columns, not the three"),
        (f"ada,ada@example.com,{HASH},more", "has 4 columns, not the three"),
        (f"a,ada@example.com,{HASH}", "username: 3 to 32 letters"),
        (f"a da,ada@example.com,{HASH}", "username: 3 to 32 letters"),
        (f"ad\x00a,ada@example.com,{HASH}", "username: Text must not contain the character NUL"),
        (f",ada@example.com,{HASH}", "username: 3 to 32 letters"),
        (
            f"\u0430da,ada@example.com,{HASH}",
            "username: letters and digits must be of one alphabet",
        ),
        (f"B0B,ada@example.com,{HASH}", "username: looks like the one in line 1"),
        (f"ada,no address,{HASH}", "email: "),
        (f"ada,,{HASH}", "email: "),
        ("ada,ada@example.com,", "bcrypt_hash: not a bcrypt hash"),
        ("ada,ada@example.com,secret", "bcrypt_hash: not a bcrypt hash"),
        (f"ada,ada@example.com,{HASH[:-1]}", "bcrypt_hash: not a bcrypt hash"),
        (f"ada,ada@example.com,{HASH.replace('2b', '2x')}", "bcrypt_hash: not a bcrypt hash"),
        (f"ada,ada@example.com,{HASH.replace('12', '03')}", "bcrypt_hash: not a bcrypt hash"),
        (f"ada,ada@example.com,{HASH.replace('12', '32')}", "bcrypt_hash: not a bcrypt hash"),
        (f"ada,ada@example.com,{HASH.replace('12', '17')}", "bcrypt_hash: a cost of 17 is refused"),
        (f'"ada,ada@example.com,{HASH}', "is not CSV"),
        ("x" * 10_000, "is longer than 2000 characters"),
    ],
)
def test_a_bad_row_is_named_and_spoils_no_other(row: str, reason: str) -> None:
    rows = read_text(f"bob,bob@example.com,{HASH}\n{row}\neve,eve@example.com,{HASH}\n")
    assert {line: type(row) for line, row in rows.items()} == {
        1: ImportedUser,
        2: str,
        3: ImportedUser,
    }
    assert str(rows[2]).startswith(reason)
    assert "secret" not in str(rows[2])


def test_what_is_not_utf8_is_named() -> None:
    text = f"ren\xe9,rene@example.com,{HASH}\nada,ada@example.com,{HASH}\n".encode("latin-1")
    assert reasons(text) == {1: "is not UTF-8"}


def test_costs_from_4_to_16_come_in() -> None:
    lines = [f"user{n},u{n}@example.com,{HASH.replace('12', f'{n:02}')}" for n in range(4, 17)]
    assert reasons("\n".join(lines)) == {}


def test_who_stands_twice_in_the_file_comes_in_once() -> None:
    text = (
        f"ada,ada@example.com,{HASH}\n"
        f"bob,not an address,{HASH}\n"
        f"ADA,else@example.com,{HASH}\n"
        f"eve,Ada@Example.com,{HASH}\n"
        f"bob,bob@example.com,{HASH}\n"
        f"ada,ada@example.com,{HASH}\n"
    )
    found = reasons(text)
    assert found.pop(2).startswith("email:")  # and bob's other row is good
    assert found == {
        3: "username: stands in line 1 already",
        4: "email: stands in line 1 already",
        6: "username: stands in line 1 already",
    }
