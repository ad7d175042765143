"""Which usernames are accepted, what looks like what, and that every name can be called."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sharezync_shared.names import mentionable
from sharezync_shared.names.lookalikes import data_version, mixes_scripts, skeleton_of
from sharezync_shared.names.usernames import clean_username
from sharezync_shared.text import key_of

GOOD = [
    "ada",
    "Grace.Hopper-2",
    "_x_",
    "Zoë",
    "प्रिया",
    "நிலாவன்",
    "สุดารัตน์",
    "សុខា",
    "မြန်မာ",
    "ཀརྨ་".strip("་"),
    "می\u200cخواهم",
    "שרה12",
    "Сергей",
    "李明ada",
    "ひらカナ漢字",
    "김철수",
    "Ελένη",
    "Nguyễn",
]


@pytest.mark.parametrize("name", GOOD)
def test_names_of_the_world_are_accepted_and_can_be_called(name: str) -> None:
    assert clean_username(name) == name
    assert mentionable.is_name(name)
    for text in (f"@{name}", f"hello @{name}, and more", f"(@{name})", f"ask @{name}."):
        assert list(mentionable.names_called(text)) == [name]


@pytest.mark.parametrize(
    "name",
    [
        "аda",  # its first letter is Cyrillic
        "adа",
        "ραypal",
        "ada١",  # a digit of Arabic
        "a" + "\u0300" * 5 + "da",
        "ก" + "\u0e47" * 5 + "าก",
        "क" + "\u093e" * 9 + "कक",
        "ad\u200ba",
        "ad\u200da",
        "ad\u3164a",
        "ad\u00ada",
        "ad\u202ea",
        "ada\ufe0f",
        "\u0301ada",
        "ad a",
        "ad\na",
        "l·l",
        "ﬁne",
        "ada🎉",
        "x" * 33,
    ],
)
def test_names_that_deceive_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"letters|marks"):
        clean_username(name)


def test_full_width_and_decomposed_forms_are_one_name() -> None:
    assert clean_username("Ａda") == "Ada"
    assert clean_username("Zoe\u0308") == "Zoë"
    assert clean_username(" ada ") == "ada"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("ada", "аda"),
        ("paypal", "PaypaI"),
        ("paypal", "paypa1"),
        ("сосо", "coco"),
        ("ВТМ", "btm"),
        ("bob", "b0b"),
        ("micro", "rnicro"),
        ("ada", "Ada"),
    ],
)
def test_what_looks_the_same_has_the_same_skeleton(one: str, other: str) -> None:
    assert skeleton_of(one) == skeleton_of(other)


@pytest.mark.parametrize(
    ("one", "other"), [("ada", "ade"), ("bob", "rob"), ("प्रिया", "प्रीया"), ("a.b", "a-b")]
)
def test_what_looks_different_has_another_skeleton(one: str, other: str) -> None:
    assert skeleton_of(one) != skeleton_of(other)


def test_the_data_has_a_version() -> None:
    assert 1500 <= data_version() < 10_000


@given(st.text(st.characters(categories=["L", "M", "N", "P"]), min_size=3, max_size=12))
def test_whatever_is_accepted_is_stable_and_can_be_called(text: str) -> None:
    try:
        name = clean_username(text)
    except ValueError:
        return
    assert clean_username(name) == name
    assert not mixes_scripts(name)
    assert list(mentionable.names_called(f"@{name}!")) == [name]
    assert key_of(key_of(name)) == key_of(name)
    assert skeleton_of(name)
