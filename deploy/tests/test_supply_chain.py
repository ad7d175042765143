"""Locks are looked up where that can be had, and every image has its bill of materials."""

import json
import re
from pathlib import Path

import pytest

from deploy import supply_chain
from deploy.tests.fleet import ROOT


def test_a_known_vulnerability_is_told_with_what_mends_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    report = {
        "dependencies": [
            {"name": "good", "version": "1", "vulns": []},
            {"name": "bad", "version": "2", "vulns": [{"id": "X-1", "fix_versions": ["3"]}]},
            {"name": "unknown", "skip_reason": "not found"},
        ]
    }
    monkeypatch.setattr(supply_chain, "_json_of", lambda _: report)
    assert supply_chain.audit() == 1
    told = capsys.readouterr().out
    assert "bad 2: X-1 (mended in 3)" in told
    assert "requirements.lock: 1 known" in told


def test_what_cannot_be_looked_up_is_told_and_stops_nobody(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(supply_chain, "_json_of", lambda _: {})
    assert supply_chain.audit() == 0
    told = capsys.readouterr().out
    assert all("LEFT OUT" in line for line in told.splitlines())
    assert "requirements.lock" in told


def test_every_image_has_a_bill_of_all_that_its_lock_pins(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(supply_chain, "ROOT", tmp_path)
    monkeypatch.setattr(supply_chain, "BILLS", tmp_path / "build")
    monkeypatch.setattr(supply_chain, "SERVICES", ("gateway",))
    (tmp_path / "services").symlink_to(ROOT / "services")
    assert supply_chain.sbom() == 0
    lock = (ROOT / "services" / "gateway" / "requirements.lock").read_text()
    pinned = set(re.findall(r"^([\w.-]+)==", lock, re.MULTILINE))
    bill = json.loads((tmp_path / "build" / "gateway.cdx.json").read_text())
    assert {component["name"] for component in bill["components"]} == pinned
    assert bill["metadata"]["component"]["name"] == "sharezync-gateway"
