"""What a sender, an archive or another user would like to plant where files arrive."""

from collections.abc import Callable
from pathlib import Path

import pytest

from clients.python.tests.unit.test_received_files import fill, into, opened, records_of, transfer
from sharezync import UnsafePath
from sharezync.folders import Folder
from sharezync.transfer.received_files import begun_in

__all__ = ["into"]  # a fixture

HOME_FOLDER = (
    *((f"holiday/{number}.jpg", b"%d" % number) for number in range(1, 6)),
    (".ssh/authorized_keys", b"ssh-ed25519 eve"),
    (".bash_profile", b"eve"),
    (".config/autostart/x.desktop", b"[Desktop Entry]"),
)


def received(into: Path, *files: tuple[str, bytes], new_folder: str | None = None) -> list[str]:
    """Receive all; return where it came to lie inside `into`."""
    received = opened(into, *files, new_folder=new_folder)
    for index, (_, content) in enumerate(files):
        fill(received, index, content)
    placed = received.finish(transfer(*files))
    assert [path.read_bytes() for path in placed] == [content for _, content in files]
    return [path.relative_to(into).as_posix() for path in placed]


def tree(folder: Path) -> dict[str, bytes | None]:
    return {
        path.relative_to(folder).as_posix(): None if path.is_dir() else path.read_bytes()
        for path in folder.rglob("*")
    }


def test_each_transfer_comes_into_a_new_folder_of_its_own(into: Path) -> None:
    (into / "ada 2026-11-30 1609").mkdir()
    (into / ".ssh").mkdir()
    before = tree(into)
    placed = received(into, *HOME_FOLDER, new_folder="ada 2026-11-30 1609")
    assert placed == [
        *(f"ada 2026-11-30 1609 (1)/holiday/{number}.jpg" for number in range(1, 6)),
        "ada 2026-11-30 1609 (1)/_.ssh/authorized_keys_",
        "ada 2026-11-30 1609 (1)/_.bash_profile",
        "ada 2026-11-30 1609 (1)/_.config/autostart_/x.desktop_",
    ]
    assert {path: tree(into)[path] for path in before} == before
    assert not list((into / "ada 2026-11-30 1609").iterdir())


def test_straight_into_a_folder_nothing_that_is_there_is_touched_or_gone_into(into: Path) -> None:
    for folder in (".ssh", ".config/autostart", "holiday", "_.ssh"):
        (into / folder).mkdir(parents=True)
    (into / ".bash_profile").write_bytes(b"mine")
    before = tree(into)
    placed = received(into, *HOME_FOLDER)
    assert {path.split("/")[0] for path in placed} == {
        "holiday (1)", "_ (1).ssh", "_.bash_profile", "_.config",
    }  # fmt: skip
    assert {path: tree(into)[path] for path in before} == before
    assert set(tree(into)) - set(before) == {
        *placed, "holiday (1)", "_ (1).ssh", "_.config", "_.config/autostart_",
    }  # fmt: skip


@pytest.mark.parametrize("new_folder", [None, "ada"])
def test_an_interrupted_reception_finds_its_folder_however_it_is_called_again(
    into: Path, new_folder: str | None
) -> None:
    file = ("a.bin", b"abcdefgh")
    fill(opened(into, file, new_folder=new_folder), 0, file[1], 0)
    assert begun_in(into, records_of(into), "http://here") == [transfer(file).id]
    assert begun_in(into, records_of(into), "http://elsewhere") == []
    for again in ("ada", "another", None):
        assert opened(into, file, new_folder=again).parts[0].kept.pairs() == [(0, 0)]
    received = opened(into, file, new_folder="another")
    fill(received, 0, file[1], 1)
    (placed,) = received.finish(transfer(file))
    assert placed == into.joinpath(new_folder or "", "a.bin")
    assert [path.name for path in into.iterdir()] == [new_folder or "a.bin"]
    assert begun_in(into, records_of(into), "http://here") == []


def test_a_folder_that_came_while_names_were_chosen_is_not_gone_into(
    into: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (into / "photos").mkdir()
    (into / "a.bin").write_bytes(b"mine")
    monkeypatch.setattr(Folder, "names", lambda _: [])  # as it was a moment before
    assert received(into, ("photos/x", b"1"), ("a.bin", b"2")) == ["photos (1)/x", "a (1).bin"]
    assert list((into / "photos").iterdir()) == []


@pytest.mark.parametrize("path", ["x", "x/y", "README/a", "A", "a\u0308", "İ"])
def test_names_that_some_systems_take_for_one_stay_apart(into: Path, path: str) -> None:
    for name in ("X", "readme", "a", "Ä", "i\u0307"):
        (into / name).write_bytes(b"mine")
    before = tree(into)
    (placed,) = received(into, (path, b"1"))
    assert " (1)" in placed
    assert {path: tree(into)[path] for path in before} == before


def test_folders_of_the_senders_that_differ_by_case_or_defusing_stay_two(into: Path) -> None:
    paths = "Docs/a", "docs/a", ".x/a", "_.x/a", "x", "x/y", "a:", "a_/b"
    files = [(path, path.encode()) for path in paths]
    assert len(received(into, *files)) == len(files)


def test_our_folder_is_not_known_by_its_name(into: Path) -> None:
    file = ("a.bin", b"abcdefgh")
    planted = into / f".sharezync-{transfer(file).id}"
    planted.mkdir()
    (planted / "plan.json").write_text('{"0": ["..", "evil"]}')
    (planted / "0.chunks").write_bytes(b"x" * 64)
    before = tree(into)
    received = opened(into, file)
    assert not received.resumed
    assert received._staging.folder.path.stat().st_mode & 0o777 == 0o700
    fill(received, 0, file[1])
    received.finish(transfer(file))
    assert tree(into) == {**before, "a.bin": file[1]}


def swapped_for_a_link(staging: Path, elsewhere: Path) -> None:
    staging.rename(elsewhere / "moved")
    staging.symlink_to(elsewhere / "moved")


def opened_to_others(staging: Path, elsewhere: Path) -> None:
    assert elsewhere.is_dir()
    staging.chmod(0o777)


@pytest.mark.parametrize("change", [swapped_for_a_link, opened_to_others])
def test_our_folder_is_not_believed_when_somebody_changed_it(
    into: Path, change: Callable[[Path, Path], None]
) -> None:
    file = ("a.bin", b"abcdefgh")
    first = opened(into, file)
    fill(first, 0, file[1], 0)
    elsewhere = into.parent / "elsewhere"
    elsewhere.mkdir()
    change(first._staging.folder.path, elsewhere)
    again = opened(into, file)
    assert not again.resumed
    assert not again.parts[0].kept


def test_a_link_that_is_put_in_our_way_is_not_followed(into: Path) -> None:
    outside = into.parent / "outside"
    outside.mkdir()
    (outside / "theirs").write_bytes(b"theirs")
    file = ("photos/a.bin", b"abcd")
    received = opened(into, file)
    fill(received, 0, file[1])
    received._staging.note(names={"0": ["photos", "a.bin"]})
    again = opened(into, file)
    (into / "photos").symlink_to(outside)  # since its name was chosen
    with pytest.raises(UnsafePath):
        again.finish(transfer(file))
    assert tree(outside) == {"theirs": b"theirs"}


def test_a_link_for_a_part_is_not_written_through(into: Path) -> None:
    victim = into.parent / "victim"
    victim.write_bytes(b"mine")
    file = ("a.bin", b"abcd")
    received = opened(into, file)
    part = received._staging.folder.path / "0.part"
    part.unlink()
    part.symlink_to(victim)
    with pytest.raises(OSError, match=r".*"):
        fill(received, 0, file[1])
    assert victim.read_bytes() == b"mine"


def test_our_folder_is_written_in_whatever_its_path_leads_to(into: Path) -> None:
    """A folder above it is swapped while it is received."""
    file = ("a.bin", b"abcd")
    received = opened(into, file, new_folder="ada")
    aside, outside = into / "aside", into.parent / "outside"
    outside.mkdir()
    (into / "ada").rename(aside)
    (into / "ada").symlink_to(outside)
    fill(received, 0, file[1])
    received.finish(transfer(file))
    assert list(outside.iterdir()) == []
    assert (aside / "a.bin").read_bytes() == file[1]


def test_parts_of_somebody_elses_are_left_alone(into: Path) -> None:
    for name in ("a.bin.part", "0.part"):
        (into / name).write_bytes(b"mine")
    received = opened(into, ("a.bin", b"abcd"))
    fill(received, 0, b"abcd")
    received.discard()
    assert tree(into) == {"a.bin.part": b"mine", "0.part": b"mine"}


def test_what_can_never_become_complete_leaves_no_folder(into: Path) -> None:
    received = opened(into, ("a.bin", b"abcd"), new_folder="ada")
    fill(received, 0, b"abcd")
    received.discard()
    assert list(into.iterdir()) == []
    received = opened(into, ("a.bin", b"abcd"), new_folder="ada")
    (into / "ada" / "mine").write_bytes(b"mine")
    received.discard()
    assert tree(into) == {"ada": None, "ada/mine": b"mine"}
