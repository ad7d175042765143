"""Downloads touch nothing that isn't their own."""

import hashlib
from pathlib import Path

import pytest

from sharezync import AlreadyThere, Corrupt, StoredFile
from sharezync.files.downloads import DownloadedFile


@pytest.fixture
def into(tmp_path: Path) -> Path:
    into = tmp_path / "in"
    into.mkdir()
    return into


def downloaded(
    to: Path, name: str = "film.mkv", *, replace: bool = False, sha256: str = ""
) -> DownloadedFile:
    digest = sha256 or hashlib.sha256(b"theirs").hexdigest()
    file = StoredFile("id", name, 6, sha256=digest)
    records = (to if to.is_dir() else to.parent).parent / "records"
    return DownloadedFile.open(to, file, records, "http://here", replace=replace)


def finished(to: Path, name: str = "film.mkv", *, replace: bool = False) -> Path:
    begun = downloaded(to, name, replace=replace)
    begun.write_at(0, b"theirs")
    return begun.finish()


def tree(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("replace", [False, True])
def test_nothing_in_a_folder_is_deleted_or_replaced(into: Path, replace: bool) -> None:
    """`replace` is about a name that one chose: in a folder the sender of the file chose it."""
    mine = {"film.mkv": b"1", "film.mkv.part": b"2", ".film.mkv.part.json": b"3", "0.part": b"4"}
    for name, content in mine.items():
        (into / name).write_bytes(content)
    finished(into, replace=replace)
    assert tree(into) == {**mine, "film (1).mkv": b"theirs"}, "what was there must stay"


def test_a_name_that_is_taken_is_refused_before_anything_is_fetched(into: Path) -> None:
    (into / "mine").write_bytes(b"mine")
    (into / "link").symlink_to("nowhere")
    for name in ("mine", "link"):
        with pytest.raises(AlreadyThere):
            downloaded(into / name)
    assert finished(into / "mine", replace=True).read_bytes() == b"theirs"
    finished(into / "link", replace=True)
    assert not (into / "link").is_symlink()
    assert set(tree(into)) == {"link", "mine"}


def test_what_came_meanwhile_stays_and_the_download_is_not_lost(into: Path) -> None:
    begun = downloaded(into / "film.mkv")
    begun.write_at(0, b"theirs")
    (into / "film.mkv").write_bytes(b"mine")
    with pytest.raises(AlreadyThere):
        begun.finish()
    assert (into / "film.mkv").read_bytes() == b"mine"
    (into / "film.mkv").unlink()
    again = downloaded(into / "film.mkv")
    assert again.size_bytes == 6
    assert again.finish().read_bytes() == b"theirs"


def test_it_goes_on_in_a_new_process_and_only_with_what_is_its_own(into: Path) -> None:
    downloaded(into).write_at(0, b"the")
    assert downloaded(into).size_bytes == 3
    assert downloaded(into / "another").size_bytes == 0
    assert len(list(into.iterdir())) == 2
    assert all(path.stat().st_mode & 0o777 == 0o700 for path in into.iterdir())


@pytest.mark.parametrize(
    ("name", "saved"),
    [
        (".bashrc", "_.bashrc"),
        ("../../.ssh/authorized_keys", "_.._.._.ssh_authorized_keys"),
        ("setup.exe", "setup.exe_"),
        ("autorun.inf", "autorun.inf_"),
        ("/etc/passwd", "_etc_passwd"),
    ],
)
def test_names_of_files_in_a_folder_are_made_harmless(into: Path, name: str, saved: str) -> None:
    assert finished(into, name) == into / saved


def test_a_name_that_somebody_chose_themselves_is_kept(into: Path) -> None:
    assert finished(into / ".bashrc") == into / ".bashrc"


def test_what_arrived_damaged_leaves_nothing(into: Path) -> None:
    begun = downloaded(into, sha256="0" * 64)
    begun.write_at(0, b"theirs")
    with pytest.raises(Corrupt):
        begun.finish()
    assert list(into.iterdir()) == []
