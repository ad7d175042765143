"""Files on their way in: where they come to lie, and what survives a kill at any moment."""

import hashlib
from pathlib import Path
from typing import Any

import pytest

from sharezync import Corrupt, Transfer
from sharezync.transfer.received_files import Destination, ReceivedFiles

CHUNK = 4
ID = "01936f0c-2b7e-7d33-8d7a-0c8e3a7c1f10"


@pytest.fixture
def into(tmp_path: Path) -> Path:
    """A folder that somebody has, to receive into."""
    into = tmp_path / "in"
    into.mkdir()
    return into


def transfer(*files: tuple[str, bytes], roots: list[str | None] | None = None) -> Transfer:
    documents: list[dict[str, Any]] = [
        {
            "index": index,
            "name": Path(path).name,
            "path": path,
            "size_bytes": len(content),
            "root": roots[index] if roots else None,
        }
        for index, (path, content) in enumerate(files)
    ]
    return Transfer.of(
        {
            "id": ID,
            "sender_id": "ada",
            "state": "receiving",
            "recipients": [],
            "files": documents,
            "chunk_size_bytes": CHUNK,
        }
    )


def fill(
    received: ReceivedFiles, index: int, content: bytes, *numbers: int, flushed: bool = True
) -> None:
    """Receive chunks of a file: these, or all."""
    part = received.parts[index]
    for number in numbers or range(-(-len(content) // CHUNK)):
        payload = content[number * CHUNK : (number + 1) * CHUNK]
        part.keep(number, memoryview(payload), hashlib.sha256(payload).digest())
        part.note(number)
    if flushed:
        part.flush()


def opened(into: Path, *files: tuple[str, bytes], new_folder: str | None = None) -> ReceivedFiles:
    """Begin, or go on, straight into a folder or in a new one."""
    destination = Destination(into, new_folder, records_of(into), "http://here")
    received = ReceivedFiles(destination, transfer(*files))
    received.open(range(len(files)))
    return received


def records_of(into: Path) -> Path:
    """Return where the records of our own are, far from what arrives."""
    return into.parent / f"state of {into.name}"


def staging_of(received: ReceivedFiles) -> Path:
    return received._staging.folder.path


def test_files_land_in_their_folders_and_nothing_else_stays(into: Path) -> None:
    files = ("photos/2026/a.jpg", b"123456789"), ("empty", b"")
    received = opened(into, *files)
    fill(received, 0, files[0][1])
    placed = received.finish(transfer(*files))
    assert [path.relative_to(into).as_posix() for path in placed] == [
        "photos/2026/a.jpg",
        "empty",
    ]
    assert [path.read_bytes() for path in placed] == [b"123456789", b""]
    assert {path.name for path in into.rglob("*")} == {"photos", "2026", "a.jpg", "empty"}


def test_what_was_kept_before_a_kill_is_kept_by_the_next(into: Path) -> None:
    file = ("a.bin", b"abcdefghij")
    first = opened(into, file)
    fill(first, 0, file[1], 0, 2)
    assert (staging_of(first) / "0.part").exists()

    again = opened(into, file)
    assert again.resumed
    assert again.parts[0].kept.pairs() == [(0, 0), (2, 2)]
    assert again.parts[0].kept_bytes == 6
    fill(again, 0, file[1], 1)
    assert [path.read_bytes() for path in again.finish(transfer(file))] == [file[1]]


def test_a_kill_before_the_disk_was_waited_for_costs_nothing(into: Path) -> None:
    file = ("a.bin", b"abcdefghij")
    first = opened(into, file)
    fill(first, 0, file[1], 0)
    fill(first, 0, file[1], 2, flushed=False)
    with (staging_of(first) / "0.chunks").open("ab") as log:
        log.write(b"\0\0")  # of an entry that was cut off

    again = opened(into, file)
    assert again.parts[0].kept.pairs() == [(0, 0), (2, 2)]
    fill(again, 0, file[1], 1)
    assert [path.read_bytes() for path in again.finish(transfer(file))] == [file[1]]
    assert [path.name for path in into.iterdir()] == ["a.bin"]


def test_what_was_kept_is_not_believed_where_its_bytes_were_lost_with_the_power(
    into: Path,
) -> None:
    file = ("a.bin", b"abcdefghij")
    first = opened(into, file)
    fill(first, 0, file[1], 0, 1, flushed=False)
    with (staging_of(first) / "0.part").open("r+b") as part:
        part.seek(CHUNK)
        part.write(bytes(CHUNK))

    assert opened(into, file).parts[0].kept.pairs() == [(0, 0)]


def test_a_kill_between_naming_two_files_loses_and_doubles_nothing(into: Path) -> None:
    files = ("a.bin", b"aaaa"), ("b.bin", b"bbbb")
    first = opened(into, *files)
    for index, (_, content) in enumerate(files):
        fill(first, index, content)
    first._staging.note(names={"0": ["a.bin"], "1": ["b.bin"]})
    (staging_of(first) / "0.part").rename(into / "a.bin")  # and then it was killed
    (into / "b.bin").hardlink_to(staging_of(first) / "1.part")  # or then

    placed = opened(into, *files).finish(transfer(*files))
    assert sorted(path.name for path in into.iterdir()) == ["a.bin", "b.bin"]
    assert [path.read_bytes() for path in placed] == [b"aaaa", b"bbbb"]


def test_a_record_without_its_file_is_not_believed(into: Path) -> None:
    file = ("a.bin", b"abcdefgh")
    first = opened(into, file)
    fill(first, 0, file[1])
    (staging_of(first) / "0.part").unlink()
    again = opened(into, file)
    assert not again.parts[0].kept


def test_nothing_that_is_there_is_replaced(into: Path) -> None:
    (into / "a.bin").write_bytes(b"mine")
    file = ("a.bin", b"theirs")
    received = opened(into, file)
    fill(received, 0, file[1])
    (into / "a (1).bin").write_bytes(b"mine too")  # since then
    placed = received.finish(transfer(file))
    assert [path.name for path in placed] == ["a (2).bin"]
    assert (into / "a.bin").read_bytes() == b"mine"
    assert (into / "a (1).bin").read_bytes() == b"mine too"


def test_names_that_clash_after_cleaning_stay_apart(into: Path) -> None:
    files = ("A.txt", b"1"), ("a.txt", b"2"), ("a.txt.part", b"3"), ("x", b"4"), ("x/y", b"5")
    received = opened(into, *files)
    for index, (_, content) in enumerate(files):
        fill(received, index, content)
    placed = received.finish(transfer(*files))
    assert [path.read_bytes() for path in placed] == [content for _, content in files]
    assert len({str(path).casefold() for path in placed}) == len(files)


@pytest.mark.parametrize("path", ["../../evil", "/evil", "out/evil", "C:\\evil", "a/../../evil"])
def test_no_file_lands_outside_of_the_folder(into: Path, path: str) -> None:
    outside = into.parent / "outside"
    outside.mkdir()
    (into / "out").symlink_to(outside)
    received = opened(into, (path, b"1"))
    fill(received, 0, b"1")
    (placed,) = received.finish(transfer((path, b"1")))
    assert placed.resolve().is_relative_to(into.resolve())
    assert not list(outside.iterdir())


def test_a_damaged_chunk_is_refused_and_not_held(into: Path) -> None:
    received = opened(into, ("a.bin", b"abcd"))
    with pytest.raises(Corrupt):
        received.parts[0].keep(0, memoryview(b"abcX"), hashlib.sha256(b"abcd").digest())
    with pytest.raises(Corrupt):
        received.parts[0].keep(0, memoryview(b"abcde"), hashlib.sha256(b"abcde").digest())
    with pytest.raises(Corrupt):
        received.parts[0].keep(1, memoryview(b""), hashlib.sha256(b"").digest())
    assert not received.parts[0].complete


def test_a_file_whose_root_is_another_gets_no_name(into: Path) -> None:
    file = ("a.bin", b"abcdefgh")
    received = opened(into, file)
    fill(received, 0, file[1])
    right = received.parts[0].root
    with pytest.raises(Corrupt):
        received.finish(transfer(file, roots=["0" * 64]))
    assert not (into / "a.bin").exists()
    assert received.finish(transfer(file, roots=[right]))


def test_what_can_never_become_complete_leaves_nothing(into: Path) -> None:
    received = opened(into, ("a.bin", b"abcdefgh"))
    fill(received, 0, b"abcdefgh", 0)
    received.discard()
    assert list(into.iterdir()) == []
