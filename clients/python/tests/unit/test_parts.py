"""What is held of a file, as who follows it over HTTP asks for it."""

import os
from pathlib import Path

import pytest

from sharezync import NotLoggedIn, SocketClosed, TransferEnded, Unreachable
from sharezync.folders import Folder
from sharezync.transfer.parts import Part
from sharezync.transfer.transfers import leaves_http

CHUNK = 1024


def part_in(folder: Path) -> Part:
    part = Part(Folder.at(folder), 0, "film", 4 * CHUNK + 1, CHUNK)
    part.open()
    return part


def keep(part: Part, *indexes: int) -> None:
    for index in indexes:
        part.keep(index, memoryview(os.urandom(part.length(index))), None)
        part.note(index)


@pytest.mark.parametrize(
    ("held", "gap"),
    [((), (0, 4)), ((0, 1), (2, 4)), ((2,), (0, 1)), ((0, 3), (1, 2)), ((0, 1, 2, 3), (4, 4))],
)
def test_the_first_gap_is_what_is_asked_for(
    tmp_path: Path, held: tuple[int, ...], gap: tuple[int, int]
) -> None:
    part = part_in(tmp_path)
    keep(part, *held)
    assert part.first_gap() == gap


def test_the_last_chunk_is_left_out_of_what_is_confirmed_early(tmp_path: Path) -> None:
    part = part_in(tmp_path)
    assert part.kept_but_last().pairs() == []
    keep(part, 0, 3, 4)
    assert part.kept_but_last().pairs() == [(0, 0), (3, 3)]
    assert part.kept.pairs() == [(0, 0), (3, 4)]


def test_what_turned_out_to_be_damaged_is_forgotten_for_good(tmp_path: Path) -> None:
    part = part_in(tmp_path)
    keep(part, 0, 1, 2)
    part.flush()
    keep(part, 3, 4)
    part.lose([1, 3])
    assert part.kept.pairs() == [(0, 0), (2, 2), (4, 4)]
    assert part_in(tmp_path).kept.pairs() == [(0, 0), (2, 2), (4, 4)], "nor is it believed later"
    keep(part, 1)
    part.flush()
    assert part_in(tmp_path).kept.pairs() == [(0, 2), (4, 4)]
    part.lose(range(5))
    assert not part_in(tmp_path).kept


@pytest.mark.parametrize(
    ("error", "may"),
    [
        (SocketClosed(403, "a proxy lets none through"), True),
        (SocketClosed(4504, "too many"), True),
        (Unreachable("dropped"), True),
        (NotLoggedIn("it ran out"), True),
        (SocketClosed(4503, "revoked"), False),
        (SocketClosed(1000, "by us"), False),
        (TransferEnded("cancelled"), False),
    ],
)
def test_http_is_tried_where_it_may_do(error: Exception, *, may: bool) -> None:
    assert leaves_http(error) is may
