"""Which usernames are accepted, what looks like what, and that every name can be called."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sharezync_shared.names import mentionable
from sharezync_shared.names.usernames import (
    clean_username,
    data_version,
    mixes_scripts,
    skeleton_of,
)
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
    "น้ำฝน",
    "ทองคำ",
    "ຄຳແພງ",
    "ສົມໜຸ່ມ",
    "Արևիկ",
    "〇〇さん",
    "ශ්\u200dරීමාලි",
    "അനിൽ",
    "佐々木",
    "İstanbul",
    "kėdė",
    "ımıx",
    "𞤀𞤣𞤤𞤢𞤥",
    "މުހައްމަދު",
    "ᏣᎳᎩ",
    "李明",
    "金",
    "〇〇",
    "김솔",
    "솔",
    "がお",
    "イー",
    "がお𠮷",
    "דן",
    "طه",
    "जय",
    "บี",
    "ቤተ",
    "ꆈꌠ",
]


@pytest.mark.parametrize("name", GOOD)
def test_names_of_the_world_are_accepted_and_can_be_called(name: str) -> None:
    assert clean_username(name) == name
    assert mentionable.is_name(name)
    for text in (f"@{name}", f"hello @{name}, and more", f"(@{name})", f"ask @{name}."):
        assert [called[0] for called in mentionable.names_called(text)] == [name]


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
        "\u0269an",
        "\u0196an",
        "ad a",
        "ad\na",
        "l·l",
        "ﬁne",
        "ada🎉",
        "x" * 33,
        "wi\u0307lli",
        "j\u0307ane",
        "bil\u0307l",
        "wi\u0323\u0307lli",
        "і\u0307ван",
        "a\u0301\u0301da",
        "ส\u0e31\u0e31นน",
        "न\u0902\u0902द",
    ],
)
def test_names_that_deceive_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"letters|marks"):
        clean_username(name)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("O’Brien", r"U\+2019 RIGHT SINGLE QUOTATION MARK"),
        ("محـمد", r"U\+0640 ARABIC TATWEEL"),
        ("ad\u200ba", r"U\+200B ZERO WIDTH SPACE"),
        ("ad\ue000a", r"U\+E000 is"),
        ("ada🎉", r"U\+1F389 PARTY POPPER"),
        ("_משה", "from right to left begins with one of its letters"),
        ("משה_", "ends in a letter or digit"),
        ("x" * 33, "in - .$"),
    ],
)
def test_a_refusal_says_what_it_is_about(name: str, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        clean_username(name)


@pytest.mark.parametrize(
    "name",
    [
        *("Jo", "Яя", "Ξξ", "აა", "a1", "12", "_x"),
        *("李a", "李1", "金_", "あ", "ב", "々", "ǃǃ", "", "\u200d"),
    ],
)
def test_names_too_short_for_their_letters_are_refused_and_call_nobody(name: str) -> None:
    with pytest.raises(ValueError, match="3 to 32"):
        clean_username(name)
    assert name not in sum(mentionable.names_called(f"@{name}!"), ())


def test_however_long_a_name_is_it_is_refused_at_once() -> None:
    """Normalising this would take minutes, by the square of its length."""
    with pytest.raises(ValueError, match="3 to 32"):
        clean_username("a" + "\u0301\u0316" * 100_000)
    assert clean_username("\u03b1\u0313\u0300\u0345" * 32) == "\u1f82" * 32


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
        ("ADA", "ᴀᴅᴀ"),
        ("google", "ɢoogle"),
        *(("ada", f"a{below}da") for below in "\u0320\u0325\u0331\u0332\u0333\u0347"),
        ("ada", "\u1e01da"),
        ("bob", "\u0185o\u0184"),
        ("pcc", "ꮲꮯꮯ"),
        ("ᏣᎳᎩ", "ꮳꮃꭹ"),
        ("lan", "\ua781an"),
        # vowels that are spelt in parts, or whose marks are written in another order
        *(("मोहन", "म\u093e\u0947हन"), ("ऑक", "अ\u093e\u0945क"), ("મોહન", "મ\u0abe\u0ac7હન")),
        *(("ஆதி", "அ\u0bbeதி"), ("ஸ்ரீராம்", "ஶ்ரீராம்"), ("ಓಂಕಾರ", "ಒ\u0cd5ಂಕಾರ")),
        *(("ആര്യ", "അ\u0d3eര്യ"), ("ഹൊമ", "ഹ\u0d3e\u0d46മ"), ("ඒකක", "එ\u0dcaකක")),
        *(("នោម", "ន\u17c1\u17b6ម"), ("ក៊ីម", "ក\u17b8\u17caម"), ("ແມວ", "\u0ec0\u0ec0ມວ")),
        *(("ကိုကို", "က\u102f\u102dက\u102f\u102d"), ("ဉာဏ်", "ဥာဏ်")),
    ],
)
def test_what_looks_the_same_has_the_same_skeleton(one: str, other: str) -> None:
    assert skeleton_of(one) == skeleton_of(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        *(("ada", "ade"), ("bob", "rob"), ("प्रिया", "प्रीया"), ("a.b", "a-b"), ("hoa", "họa")),
        *(("ada_", "ada"), ("clan", "dan"), ("vvin", "win")),
    ],
)
def test_what_looks_different_has_another_skeleton(one: str, other: str) -> None:
    assert skeleton_of(one) != skeleton_of(other)


def test_the_data_has_a_version() -> None:
    assert 15_000 <= data_version() < 100_000


@given(st.text(st.characters(categories=["L", "M", "N", "P"]), min_size=1, max_size=12))
def test_whatever_is_accepted_is_stable_and_can_be_called(text: str) -> None:
    try:
        name = clean_username(text)
    except ValueError:
        return
    assert clean_username(name) == name
    assert not mixes_scripts(name)
    assert [called[0] for called in mentionable.names_called(f"@{name}!")] == [name]
    assert key_of(key_of(name)) == key_of(name)
    assert skeleton_of(name)
