"""Metrics follow Prometheus' conventions, and the documents name all of them."""

import subprocess
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from sharezync_testkit.programs import PROMTOOL
from tests.observed.conftest import ROOT
from tests.observed.families import SAME_IN_ALL, Family

OBSERVE = ROOT / "docs" / "operations" / "observe.md"


def promtool(*arguments: str | Path, stdin: bytes = b"") -> str:
    """Return what promtool finds fault with; empty where it finds nothing."""
    program = PROMTOOL.find()
    if program is None:
        pytest.skip("promtool is not installed")
    done = subprocess.run([program, *arguments], input=stdin, capture_output=True, check=False)
    return "" if done.returncode == 0 else (done.stdout + done.stderr).decode()


def table(families: list[Family]) -> str:
    rows = ["| metric | labels | what |", "|---|---|---|"]
    for each in families:
        labels = ", ".join(f"`{label}`" for label in each.labels)
        about = each.about.replace("|", "\\|").rstrip(".")
        rows.append(f"| `{each.shown_name}` ({each.kind}) | {labels} | {about} |")
    return "\n".join(rows)


def test_promtool_finds_nothing_to_say(registry: CollectorRegistry) -> None:
    assert promtool("check", "metrics", stdin=generate_latest(registry)) == ""


def test_promtool_would_say_something() -> None:
    bad = b"# HELP sharezync_things_total Things\n# TYPE sharezync_things_total gauge\n"
    assert promtool("check", "metrics", stdin=bad + b"sharezync_things_total 1\n")


def test_the_table_of_metrics_is_what_is_shown(families: list[Family]) -> None:
    wanted = table(families)
    told = OBSERVE.read_text().partition("<!-- metrics -->\n")[2].partition("\n<!--")[0]
    assert told == wanted, f"write into {OBSERVE.name}:\n{wanted}"


def test_labels_have_few_values(families: list[Family]) -> None:
    ids = {"user", "user_id", "channel", "channel_id", "path", "id", "address", "session"}
    assert [f.name for f in families if ids & set(f.labels)] == []


def test_what_is_counted_in_the_database_says_so(families: list[Family]) -> None:
    """Of each family that is: dashboards and alerts take its maximum."""
    said = {family.name for family in families if SAME_IN_ALL in family.about}
    assert {"sharezync_outbox_pending", "sharezync_storage_used_bytes"} <= said
    assert "sharezync_ws_connections" not in said
