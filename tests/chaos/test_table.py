"""The matrix in its document: what was broken is told, and what stands around it stays."""

from pathlib import Path

from tests.chaos.faults import Fault
from tests.chaos.matrix import Row, longest_gap
from tests.chaos.table import table_of


def test_a_broken_promise_is_told_in_its_row_and_in_the_sum(tmp_path: Path) -> None:
    document = tmp_path / "faults.md"
    document.write_text("before\n<!-- processes -->\nold\n<!-- end of processes -->\nafter\n")
    well = Row("chat-0", Fault.KILL, messages=1000, meanwhile=3, back=2.0)
    broken = Row("s3", Fault.CUT, messages=5, faults=["a-1 was acknowledged\nand is lost"])
    table_of([well, broken], "processes", document)
    text = document.read_text()
    assert text.startswith("before\n<!-- processes -->\n| part |")
    assert text.endswith("<!-- end of processes -->\nafter\n")
    assert "old" not in text
    assert "| chat-0 | kill | 1,000, 3 |" in text
    assert "| 2.0 | whole |" in text
    assert "| not | **broken**: a-1 was acknowledged and is lost |" in text
    assert "2 faults; 1,005 messages" in text
    assert "1 cases with a broken promise" in text


def test_the_longest_silence_lies_between_two_neighbours() -> None:
    assert longest_gap([3.0, 1.0, 10.0]) == 7.0
    assert longest_gap([4.0]) == 0.0
