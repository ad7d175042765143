"""The one function that cleans names: nothing that comes out of it can hurt anybody."""

import ntpath
import posixpath
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sharezync_shared.names import filenames
from sharezync_shared.names.characters import one_line
from sharezync_shared.names.filenames import (
    MAX_NAME_BYTES,
    clash,
    clean_name,
    clean_path,
    path_key,
)


@pytest.mark.parametrize(
    "name",
    [
        "holiday.jpg",
        "résumé.pdf",
        "年度報告.docx",
        "a b  c.txt".replace("  ", " "),
        ".bashrc",
        "archive.tar.gz",
        "console.log",
        "común.txt",
        "com10.txt",
        "👨\u200d👩\u200d👧.png",
        "❤\ufe0f.png",
        "می\u200cخواهم.txt",
        "no-suffix",
        "100% & more, [really] (1).txt",
        "\U0001fae8.png",  # younger than this Python
    ],
)
def test_good_names_stay_as_they_are(name: str) -> None:
    assert clean_name(name) == name


@pytest.mark.parametrize(
    ("given_name", "cleaned"),
    [
        # nothing
        ("", "file"),
        (" ", "file"),
        (".", "file"),
        ("..", "file"),
        ("...", "file"),
        ("\0", "file"),
        ("\u200d", "file"),
        ("/", "file"),
        ("../", "file"),
        ("\u3164", "file"),
        # paths
        ("../../etc/passwd", "passwd"),
        ("/etc/passwd", "passwd"),
        ("C:\\Users\\eve\\x.txt", "x.txt"),
        ("\\\\server\\share\\x.txt", "x.txt"),
        ("a/b\\c.txt", "c.txt"),
        ("folder/", "folder"),
        ("folder/\u200b", "folder"),
        ("..\\..\\boot.ini", "boot.ini"),
        # control, invisible and bidirectional characters
        ("a\0b.txt", "ab.txt"),
        ("a\r\nSet-Cookie: x", "aSet-Cookie_ x"),
        ("a\x1b[31mred\x07.txt", "a[31mred.txt"),
        ("photo\u202egpj.exe", "photogpj.exe"),
        ("\u2066a\u2069.txt", "a.txt"),
        ("a\u200bb\ufeff.txt", "ab.txt"),
        ("a\x85b.txt", "ab.txt"),
        ("a\u2028b.txt", "a b.txt"),
        ("a\u00a0\u2003b.txt", "a b.txt"),
        ("tag\U000e0041.txt", "tag.txt"),
        ("\ue000private.txt", "private.txt"),
        ("non\ufdd0char\uffff.txt", "nonchar.txt"),
        ("half\ud800.txt", "half.txt"),
        # what Windows reserves
        ('a<b>c:d"e|f?g*h.txt', "a_b_c_d_e_f_g_h.txt"),
        ("stream.txt:hidden", "stream.txt_hidden"),
        ("con", "_con"),
        ("CON.txt", "_CON.txt"),
        ("nul.tar.gz", "_nul.tar.gz"),
        ("aux .c", "_aux .c"),
        ("LPT1", "_LPT1"),
        ("com¹.txt", "_com¹.txt"),
        ("CONIN$", "_CONIN$"),
        ("\u200bprn", "_prn"),
        # ends
        ("a.txt.", "a.txt"),
        ("a.txt. . .", "a.txt"),
        ("a.txt ", "a.txt"),
        (" a.txt", "a.txt"),
        # normal forms
        ("e\u0301.txt", "é.txt"),
        ("e\u200b\u0301.txt", "é.txt"),
        ("\u212b.txt", "Å.txt"),
        # what nothing is seen before
        ("a/\u0301\u20e3", "file"),
        ("a/\u070f.", "file"),
    ],
)
def test_bad_names_are_mended(given_name: str, cleaned: str) -> None:
    assert clean_name(given_name) == cleaned


def test_long_names_are_cut_between_characters_and_keep_their_suffix() -> None:
    assert clean_name("é" * 300 + ".jpeg") == "é" * 125 + ".jpeg"
    assert clean_name("x" * 300) == "x" * 255
    assert clean_name("x." + "y" * 300) == "x." + "y" * 253  # that is no suffix
    assert clean_name("x" * 249 + ". " * 20 + ".txt") == "x" * 249 + ".txt"


@pytest.fixture
def cleaned(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many characters each call had that takes time by their number."""
    lengths: list[int] = []

    def counted(text: str) -> str:
        lengths.append(len(text))
        return one_line(text)

    monkeypatch.setattr(filenames, "one_line", counted)
    return lengths


@pytest.mark.parametrize("character", ["x", "a\u0301\u0301\u0301", "\u0915", "\ufdfa", "\u200d"])
def test_of_a_long_name_a_bounded_part_is_cleaned_once(cleaned: list[int], character: str) -> None:
    name = clean_name(character * 10_000 + ".jpeg")
    assert name.endswith(".jpeg")
    assert clean_path(character * 10_000 + ".jpeg") == name
    assert cleaned == [4 * MAX_NAME_BYTES] * 2
    clean_name((character * 1000 + "/") * 1000)
    assert cleaned[2] <= 32 * (4 * MAX_NAME_BYTES + 1)


def test_a_path_is_cleaned_at_once_however_many_names_it_has(cleaned: list[int]) -> None:
    for path in ("é/" * 31 + "é", "\u200b/" * 500 + "é", "a/b/c"):
        clean_path(path)
        assert cleaned.pop() == len(path)
        assert cleaned == []


def test_what_is_taken_out_in_the_middle_of_a_long_name_leaves_its_ends() -> None:
    assert clean_name("é" * 125 + "\u200b" * 5000 + ".jpeg") == "é" * 125 + ".jpeg"


tricky = st.text(
    st.one_of(
        st.characters(),
        st.sampled_from('/\\.:<>|?*" \0\r\n\t\u202e\u2066\u200b\u200d\u0301\u0338\u3164\ud800'),
        st.sampled_from("\u1820\u180b\u180e\ufffc\ufe0f\u070f"),
        st.sampled_from("conauxCOM1lpt.txt"),
    ),
    max_size=400,
)


@given(tricky)
def test_whatever_comes_a_safe_name_goes(text: str) -> None:
    name = clean_name(text)
    assert 1 <= len(name.encode()) <= MAX_NAME_BYTES
    assert unicodedata.is_normalized("NFC", name)
    assert not set('/\\<>:"|?*') & set(name)
    assert name not in {".", ".."}
    assert name == name.strip(" ")
    assert not name.endswith(".")
    for character in name:
        assert unicodedata.category(character) not in {"Cc", "Cs", "Co", "Zl", "Zp"}
        if unicodedata.category(character) == "Cf":
            assert character in "\u200c\u200d"
        assert unicodedata.bidirectional(character) not in {
            "LRE", "RLE", "PDF", "LRO", "RLO", "LRI", "RLI", "FSI", "PDI",
        }  # fmt: skip


@given(tricky)
def test_cleaning_twice_changes_nothing(text: str) -> None:
    name = clean_name(text)
    assert clean_name(name) == name


@pytest.mark.parametrize(
    ("given_path", "cleaned"),
    [
        # as they are
        ("a.jpg", "a.jpg"),
        ("photos/2026/a.jpg", "photos/2026/a.jpg"),
        ("年/résumé.pdf", "年/résumé.pdf"),
        (".config/.bashrc", ".config/.bashrc"),
        # what leads elsewhere
        ("../../etc/passwd", "etc/passwd"),
        ("a/../../b", "a/b"),
        ("/etc/passwd", "etc/passwd"),
        ("./a/./b", "a/b"),
        ("a//b/", "a/b"),
        ("C:\\Users\\eve\\x.txt", "Users/eve/x.txt"),
        ("c:/x.txt", "x.txt"),
        ("/C:/x.txt", "x.txt"),
        ("\\\\?\\C:\\x.txt", "x.txt"),
        ("\\\\server\\share\\x.txt", "server/share/x.txt"),
        ("C:C:\\x", "C_C_/x"),
        ("a\\..\\b", "a/b"),
        (".\u200b./a", "a"),
        ("..\u202e/a", "a"),
        ("C\u200b:/a", "a"),
        ("... /a", "a"),
        # each name by itself
        ("con/nul.txt", "_con/_nul.txt"),
        ("a<b/c:d", "a_b/c_d"),
        (" a /b. ", "a/b"),
        ("e\u0301/e\u0301", "é/é"),
        # nothing
        ("", "file"),
        ("/", "file"),
        ("../..", "file"),
        ("C:\\", "file"),
        ("\u3164/\u200d", "file"),
    ],
)
def test_paths_are_names_below_a_folder(given_path: str, cleaned: str) -> None:
    assert clean_path(given_path) == cleaned


def test_a_path_that_is_too_deep_or_too_long_is_refused() -> None:
    deepest = "/".join("a" * 32)
    longest = "/".join(["x" * 255] * 4)
    assert clean_path(deepest) == deepest
    assert clean_path("x" * 2000) == "x" * 255  # a name alone is cut, as ever
    assert len(clean_path(longest).encode()) == 1023
    for refused in (f"{deepest}/a", f"{longest}/a", "/".join(["é" * 100] * 6)):
        with pytest.raises(ValueError, match="at most 32 names and 1024 bytes"):
            clean_path(refused)


tricky_paths = st.lists(tricky.map(lambda text: text[:40]), max_size=6).flatmap(
    lambda parts: st.sampled_from(["/", "\\", "//", "/../"]).map(lambda by: by.join(parts))
)


@given(tricky_paths)
def test_whatever_comes_a_path_stays_below_its_folder(text: str) -> None:
    try:
        path = clean_path(text)
    except ValueError:
        return
    for name in path.split("/"):
        assert name not in {"", ".", ".."}
        assert clean_name(name) == name
    assert clean_path(path) == path
    assert posixpath.normpath(posixpath.join("/inbox", path)) == f"/inbox/{path}"
    assert ntpath.join("D:\\inbox", path) == f"D:\\inbox\\{path}"


@pytest.mark.parametrize(
    ("paths", "clashing"),
    [
        ([], None),
        (["a", "b", "c/a", "c/b", "d/a"], None),
        (["a", "ab", "ab/c"], (1, 2)),
        (["a", "b", "a"], (0, 2)),
        (["Straße.txt", "STRASSE.TXT"], (0, 1)),
        (["É/a", "é/A"], (0, 1)),
        (["x/y/z", "X"], (1, 0)),
        (["x/y/z", "x/Y"], (1, 0)),
        (["x/y", "xy", "x y"], None),
    ],
)
def test_paths_that_can_not_both_be_made_clash(
    paths: list[str], clashing: tuple[int, int] | None
) -> None:
    assert clash([*map(path_key, paths)]) == clashing


@given(st.lists(st.sampled_from(["a", "A", "b", "a/a", "a/B", "b/c/d", "B/C", "e", "e/f"])))
def test_what_does_not_clash_can_all_be_made(paths: list[str]) -> None:
    """Beside the obvious: a tree that is built name by name, in any case."""
    tree: dict[str, bool] = {}  # whether each is a folder
    fits = True
    for path in paths:
        names = path.lower().split("/")
        for depth in range(1, len(names) + 1):
            place, folder = "/".join(names[:depth]), depth < len(names)
            fits &= tree.setdefault(place, folder) == folder and (folder or names_once(paths, path))
    assert (clash([*map(path_key, paths)]) is None) == fits


def names_once(paths: list[str], path: str) -> bool:
    return [each.lower() for each in paths].count(path.lower()) == 1
