"""Results: kept as lines of JSON with what they were measured on, and shown as a table."""

import json
import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

RESULTS = Path(__file__).resolve().parents[1] / "results"


def surroundings() -> dict[str, Any]:
    """Return what a figure depends on beside the code."""
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False
    ).stdout.strip()
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit,
        "cores": os.cpu_count(),
        "machine": platform.machine(),
        "python": platform.python_version(),
        "uvicorn": version("uvicorn"),
    }


def keep(name: str, runs: list[dict[str, Any]]) -> Path:
    """Write the runs of one benchmark; return where to."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps({**surroundings(), "runs": runs}, indent=2) + "\n")
    return path


def show(title: str, rows: list[dict[str, Any]], columns: list[str]) -> None:
    """Print a table: rows of the same `system` are one line, median and range."""
    print(f"\n{title}")
    print(" | ".join(["system".ljust(28), *(column.rjust(22) for column in columns)]))
    for system in dict.fromkeys(row["system"] for row in rows):
        cells = []
        for column in columns:
            values = [
                r[column] for r in rows if r["system"] == system and r.get(column) is not None
            ]
            cells.append((_range(values) if values else "–").rjust(22))
        print(" | ".join([system.ljust(28), *cells]))


def _range(values: list[float]) -> str:
    middle = f"{median(values):,.4g}"
    if len(values) == 1:
        return middle
    return f"{middle} ({min(values):,.4g}–{max(values):,.4g})"
