"""Names from strangers."""

import itertools
from pathlib import Path, PurePosixPath, PureWindowsPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sharezync import names
from sharezync.names import clean_name, clean_parts, numbered, shortened
from sharezync.transfer.offer import NothingToSend, list_files

HOSTILE = st.text(
    alphabet=st.one_of(
        st.sampled_from(list('./\\:*?"<>| \u202e\u200b\x00\n~$CONaux1.')), st.characters()
    ),
    max_size=60,
)


@given(HOSTILE)
def test_no_path_leads_out_of_a_folder(path: str) -> None:
    parts = clean_parts(path)
    assert parts
    assert not PurePosixPath(*parts).is_absolute()
    assert not PureWindowsPath(*parts).is_absolute()
    for part in parts:
        assert part not in {"", ".", ".."}
        assert not set(part) & set('/\\:*?"<>|\x00\n\u202e')
        assert len(part.encode()) <= 255
        assert not part.endswith((".", " "))


@given(HOSTILE)
def test_cleaning_twice_changes_nothing(path: str) -> None:
    assert clean_parts("/".join(clean_parts(path))) == clean_parts(path)


@pytest.mark.parametrize(
    ("path", "parts"),
    [
        ("../../etc/passwd", ("etc", "passwd")),
        ("/etc/passwd", ("etc", "passwd")),
        ("C:\\Windows\\system32", ("Windows", "system32")),
        ("a/./b//c", ("a", "b", "c")),
        ("aux.txt", ("_aux.txt",)),
        ("..", ("file",)),
        ("", ("file",)),
        ("\u3164", ("file",)),
        ("a/\u2800/b", ("a", "b")),
        ("\u200d.bashrc", (".bashrc",)),
        ("a" * 254 + " b", ("a" * 254,)),
        ("photo\u202egpj.exe", ("photogpj.exe",)),
        (".bashrc", (".bashrc",)),
        # what chooses a variant of nothing, and what is no character
        ("\ufe0f", ("file",)),
        ("a/\u200d\ufe0f/\U000e0100/b", ("a", "b")),
        ("\ufe0f.bashrc", (".bashrc",)),
        ("a\ufe0f.t\U000e0100xt", ("a.txt",)),
        ("\u2065x\ufff0\U000e0001\ufffe\ufdd0", ("x",)),
        ("❤\ufe0f 1\ufe0f\u20e3 葛\U000e0100.txt", ("❤\ufe0f 1\ufe0f\u20e3 葛\U000e0100.txt",)),
        ("❤" + "\ufe0f" * 99, ("❤\ufe0f",)),
    ],
)
def test_names_that_are_known_to_be_dangerous(path: str, parts: tuple[str, ...]) -> None:
    assert clean_parts(path) == parts


def test_a_path_too_deep_keeps_its_name() -> None:
    parts = clean_parts("/".join(["d"] * 99 + ["name"]))
    assert (len(parts), parts[-1]) == (32, "name")


def test_a_path_too_long_to_be_opened_keeps_its_name() -> None:
    parts = clean_parts("/".join(["é" * 127] * 20 + ["name"]))
    assert parts == (*["é" * 127] * 4, "name")
    assert clean_parts("/".join(parts)) == parts


def test_long_names_keep_their_extension_and_fit_with_a_number() -> None:
    name = clean_name("ü" * 300 + ".tar")
    assert len(name.encode()) <= 255
    assert name.endswith(".tar")
    for candidate in itertools.islice(numbered(name), 3):
        assert len(candidate.encode()) <= 255
    assert len(set(itertools.islice(numbered("n" * 255), 5))) == 5
    assert shortened("a.txt", " (1)") == "a (1).txt"


def test_of_a_very_long_name_a_bounded_part_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    looked_at: list[str] = []

    def shown(character: str) -> str:
        looked_at.append(character)
        return character

    monkeypatch.setattr(names, "_shown", shown)
    assert clean_name("ü" * 100_000 + ".tar") == "ü" * 125 + ".tar"
    assert len(looked_at) == 1020


def test_a_folder_is_listed_with_paths_inside_it_and_without_links(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    (folder / "2026").mkdir(parents=True)
    (folder / "2026" / "a.jpg").write_bytes(b"12")
    (folder / "b.jpg").write_bytes(b"1")
    (folder / "secret").symlink_to("/etc/passwd")
    listing = list_files([folder, folder / "b.jpg"])
    assert [(each.name, each.size_bytes) for each in listing.files] == [
        ("photos/2026/a.jpg", 2),
        ("photos/b.jpg", 1),
        ("b.jpg", 1),
    ]
    assert [path.name for path in listing.left_out] == ["secret"]


def test_names_that_become_the_same_are_told_apart(tmp_path: Path) -> None:
    for name in ("a?.txt", "a*.txt"):
        (tmp_path / name).write_bytes(b"")
    listing = list_files([tmp_path / "a?.txt", tmp_path / "a*.txt"])
    assert [each.name for each in listing.files] == ["a_.txt", "a_ (1).txt"]


def test_nothing_to_send_is_told(tmp_path: Path) -> None:
    with pytest.raises(NothingToSend):
        list_files([tmp_path])
    with pytest.raises(NothingToSend):
        list_files([tmp_path / "absent"])


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux has /proc")
def test_what_has_more_than_it_says_is_not_sent_as_nothing() -> None:
    with pytest.raises(NothingToSend, match="how long it is"):
        list_files([Path("/proc/self/status")])
