"""What we ship is made of: known vulnerabilities in the locks, and bills of materials.

    python deploy/supply_chain.py audit    known vulnerabilities in all locks, where that can be had
    python deploy/supply_chain.py sbom     build/sbom/<service>.cdx.json (CycloneDX) for each image

`audit` fails where one is known. Where no database of advisories answers it says so loudly and
passes: what can't be looked up is no reason to stop.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parents[1]
SERVICES: Final = tuple(sorted(path.parent.name for path in ROOT.glob("services/*/Dockerfile")))
BILLS: Final = ROOT / "build" / "sbom"
_SECONDS: Final = 120
_SOURCES: Final = ("pypi", "osv")
"""Where advisories are looked up, in this order, until one answers."""


def python_findings(report: dict[str, Any]) -> tuple[list[str], int]:
    """Return what pip-audit found, a line each, and how many packages it could look up."""
    dependencies = report.get("dependencies", [])
    looked_up = [each for each in dependencies if "skip_reason" not in each]
    lines = [
        f"{each['name']} {each['version']}: {found['id']}"
        f" (mended in {', '.join(found['fix_versions']) or 'no version'})"
        for each in looked_up
        for found in each["vulns"]
    ]
    return lines, len(looked_up)


def _audit_python() -> tuple[list[str], str | None]:
    """Return the findings, and why there are none to be had, or None."""
    for source in _SOURCES:
        command = [
            sys.executable, "-m", "pip_audit", "--requirement", str(ROOT / "requirements.lock"),
            "--require-hashes", "--disable-pip", "--format", "json", "--progress-spinner", "off",
            "--vulnerability-service", source,
        ]  # fmt: skip
        report = _json_of(command)
        findings, looked_up = python_findings(report)
        if looked_up:
            return findings, None
    return [], f"no database of advisories answers ({', '.join(_SOURCES)})"


def _audit_npm(folder: Path) -> tuple[list[str], str | None]:
    npm = shutil.which("npm")
    if npm is None:
        return [], "npm is not installed"
    report = _json_of([npm, "--prefix", str(folder), "audit", "--package-lock-only", "--json"])
    if "vulnerabilities" not in report:
        return [], "the registry answers no audits"
    return [
        f"{name}: {found['severity']}" for name, found in report["vulnerabilities"].items()
    ], None


def _json_of(command: list[str]) -> dict[str, Any]:
    """Return what a command printed, {} where that is no JSON object."""
    try:
        ran = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=_SECONDS, cwd=ROOT
        )
        printed = json.loads(ran.stdout)
    except (subprocess.TimeoutExpired, ValueError):
        return {}
    return printed if isinstance(printed, dict) else {}


def audit() -> int:
    """Look all locks up; return the exit status."""
    known = 0
    looks = {"requirements.lock": _audit_python()}
    for lock in sorted(ROOT.glob("tests/clients/*/package-lock.json")):
        looks[str(lock.relative_to(ROOT))] = _audit_npm(lock.parent)
    for lock_name, (findings, left_out) in looks.items():
        if left_out:
            print(f"{lock_name}: LEFT OUT: {left_out}")
            continue
        print(f"{lock_name}: {len(findings)} known vulnerabilities")
        for line in findings:
            print(f"  {line}")
        known += len(findings)
    return 1 if known else 0


def sbom() -> int:
    """Write a bill of materials for each service's image; return the exit status."""
    BILLS.mkdir(parents=True, exist_ok=True)
    for service in SERVICES:
        folder = ROOT / "services" / service
        bill = BILLS / f"{service}.cdx.json"
        subprocess.run(
            [
                sys.executable, "-W", "ignore", "-m", "cyclonedx_py", "requirements",
                str(folder / "requirements.lock"), "--pyproject", str(folder / "pyproject.toml"),
                "--output-reproducible", "--of", "JSON", "-o", str(bill),
            ],
            check=True,
            timeout=_SECONDS,
        )  # fmt: skip
        components = json.loads(bill.read_text())["components"]
        print(f"{bill.relative_to(ROOT)}: {len(components)} packages")
    return 0


if __name__ == "__main__":
    sys.exit({"audit": audit, "sbom": sbom}[sys.argv[1]]())
