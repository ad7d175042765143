"""The sizes that operators are told are those that the measurements amount to."""

import json
from pathlib import Path

import pytest

from deploy import sizes


def test_the_document_has_what_the_measurements_amount_to() -> None:
    text = sizes.DOCUMENT.read_text()
    assert sizes.with_table(text) == text, "python -m deploy.sizes"


def test_a_dearer_delivery_asks_for_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = sizes.table()
    results = tmp_path / "bench" / "results"
    results.mkdir(parents=True)
    for path in (sizes.ROOT / "bench" / "results").glob("*.json"):
        (results / path.name).write_text(path.read_text())
    rate = json.loads((results / "chat-rate.json").read_text())
    for run in rate["runs"]:
        run["cpu_us_per_delivery"] *= 10
    (results / "chat-rate.json").write_text(json.dumps(rate))
    monkeypatch.setattr(sizes, "ROOT", tmp_path)
    assert sizes.table() != before
