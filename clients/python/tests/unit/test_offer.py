"""The record of a send: the same command finds the same transfer."""

from dataclasses import replace
from pathlib import Path

import pytest

from sharezync.transfer.offer import Outgoing, SendRecord

FILE = Outgoing(Path("/films/film.mkv"), "film.mkv", 100, 5)


def opened(
    folder: Path | None, *files: Outgoing, to: tuple[str, ...] = ("bob",), about: str = "url"
) -> tuple[SendRecord, str | None]:
    return SendRecord.open(folder, to=to, files=files or (FILE,), about=about)


def test_the_same_send_is_found_again_with_its_key(tmp_path: Path) -> None:
    first, _ = opened(tmp_path)
    again, replaced = opened(tmp_path)
    assert again.client_transfer_id == first.client_transfer_id
    assert (first.resumed, again.resumed, replaced) == (False, True, None)


@pytest.mark.parametrize("other", [{"to": ("carol",)}, {"to": ("bob", "carol")}, {"about": "x"}])
def test_another_send_has_another_key(tmp_path: Path, other: dict[str, object]) -> None:
    first, _ = opened(tmp_path)
    second, replaced = opened(tmp_path, **other)  # type: ignore[arg-type]  # of a parametrisation
    assert second.client_transfer_id != first.client_transfer_id
    assert replaced is None


@pytest.mark.parametrize("change", [{"size_bytes": 101}, {"modified_ns": 6}])
def test_a_file_that_changed_begins_anew_and_names_what_it_replaces(
    tmp_path: Path, change: dict[str, int]
) -> None:
    first, _ = opened(tmp_path)
    first.offered("transfer-1")
    second, replaced = opened(tmp_path, replace(FILE, **change))  # type: ignore[arg-type]  # as above
    assert replaced == "transfer-1"
    assert not second.resumed
    assert opened(tmp_path, replace(FILE, **change))[1] is None  # type: ignore[arg-type]  # as above


def test_what_is_through_or_renewed_is_not_found_again(tmp_path: Path) -> None:
    record, _ = opened(tmp_path)
    key = record.client_transfer_id
    record.renew()
    assert record.client_transfer_id != key
    record.delete()
    record.delete()
    assert not opened(tmp_path)[0].resumed


def test_a_record_that_is_broken_is_no_record(tmp_path: Path) -> None:
    record, _ = opened(tmp_path)
    assert record.path is not None
    record.path.write_bytes(b'{"files": 7')
    assert not opened(tmp_path)[0].resumed


def test_without_a_folder_nothing_is_kept() -> None:
    record, replaced = opened(None)
    record.offered("transfer-1")
    record.delete()
    assert (record.path, replaced) == (None, None)
