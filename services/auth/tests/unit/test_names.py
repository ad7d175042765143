import pytest

from sharezync_auth.names import RESERVED, clean_username, email_key
from sharezync_shared.text import key_of


@pytest.mark.parametrize(
    ("one", "other"),
    [("Ada", "ada"), ("STRASSE", "straße"), ("ﬁlip", "filip"), ("Ａda", "ada"), ("ΣΑΣ", "σας")],
)
def test_spellings_of_one_name_have_one_key(one: str, other: str) -> None:
    assert key_of(one) == key_of(other)


def test_a_key_is_its_own_key() -> None:
    for text in ("Ada", "ᾳ", "İstanbul", "ŉ", "ǰ"):
        assert key_of(key_of(text)) == key_of(text)


@pytest.mark.parametrize("name", ["ada", "a_b", "ada.lovelace", "ada-1", "Zoë", "名前さん"])
def test_usernames_are_letters_digits_and_a_few_signs(name: str) -> None:
    assert clean_username(f" {name} ") == name


@pytest.mark.parametrize(
    "name", ["", "ab", "a" * 33, "-ada", "ada.", "a b c", "a@b", "a/b", "<b>ada", "a\x00b"]
)
def test_other_usernames_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="letters"):
        clean_username(name)


@pytest.mark.parametrize(
    "name", ["channel", "Everyone", "HERE", "ｓｙｓｔｅｍ", " sharezync ", "Admin", "null"]
)
def test_reserved_names_are_refused_in_any_spelling(name: str) -> None:
    with pytest.raises(ValueError, match="reserved"):
        clean_username(name)


@pytest.mark.parametrize(
    "name",
    [
        "aII",
        "h\u04bbre",
        "systern",
        "SHAREZYNС",
        "channe1",
        "adrnin",
        "r00t",
        "he1p",
        "staff\u0332",
    ],
)
def test_what_looks_like_a_reserved_name_is_nobodys(name: str) -> None:
    with pytest.raises(ValueError, match=r"reserved|one alphabet"):
        clean_username(name)


@pytest.mark.parametrize(
    "spelling",
    [
        "ada@bücher.example",
        "ada@xn--bcher-kva.example",
        "ADA@XN--BCHER-KVA.EXAMPLE",
        " Ada@BÜCHER.example ",
        "ada@bu\u0308cher.example",
        "ada@bücher。example",
        "ａｄａ＠ｘｎ－－ｂｃｈｅｒ－ｋｖａ．ｅｘａｍｐｌｅ\u3000",
        "\u200eada@bücher. example\u200f",
        "\ufeff\u00a0ada @bücher.example\u200b\t",
    ],
)
def test_spellings_of_one_address_have_one_key(spelling: str) -> None:
    assert email_key(spelling) == "ada@bücher.example"


@pytest.mark.parametrize(
    "text", ["ada", " Ada ", "Ａda", "\u3000ada\u00a0", "\u2067ada\u2069", "a\u2002da\n"]
)
def test_what_is_no_address_is_compared_as_a_username(text: str) -> None:
    assert email_key(text) == "ada"


@pytest.mark.parametrize("text", ["", "@", "a@", "@b", "a@-x-.de", "a@" + "x" * 1000, "a@b..c"])
def test_what_is_nobodys_address_has_a_key_as_well(text: str) -> None:
    assert email_key(text) == key_of(text)


def test_what_merely_begins_like_a_reserved_name_is_fine() -> None:
    for name in RESERVED:
        assert clean_username(f"{name}-2") == f"{name}-2"
        assert key_of(name) == name
