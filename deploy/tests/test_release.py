"""Releases: one version everywhere, a changelog that tells of it, and what makes the release."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.docs_site import navigation, pages
from deploy.release import ROOT, faults, section_of, versions
from deploy.supply_chain import SERVICES

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
FORMS = [path for path in (ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml")
         if path.name != "config.yml"]  # fmt: skip


class AnyTag(yaml.SafeLoader):
    """Takes compose's own tags, such as `!reset`, for nothing."""


AnyTag.add_constructor("!reset", lambda loader, node: None)


def workflow(path: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(path.read_text())
    return loaded


def test_the_version_is_one_and_the_changelog_tells_of_it() -> None:
    (version,) = set(versions().values())
    assert faults(f"v{version}") == []


def test_a_tag_that_is_not_the_version_is_refused() -> None:
    wrong = faults("v9.9.9")
    assert len(wrong) == len(versions()) + 1
    assert "CHANGELOG.md has no section" in wrong[-1]


def test_a_section_ends_where_the_next_begins() -> None:
    changelog = (
        "# C\n\n## Unreleased\n\n- a\n\n## 0.2.0 (2026-12-02)\n\n- b\n\n## 0.1.0 (2026-12-01)\n- c"
    )
    assert section_of("0.2.0", changelog) == "- b"
    assert section_of("0.1.0", changelog) == "- c"
    assert section_of("Unreleased", changelog) is None


def test_compose_has_a_published_image_for_all_that_it_builds() -> None:
    built = yaml.load((ROOT / "docker-compose.yml").read_text(), AnyTag)["services"]
    text = (ROOT / "deploy" / "compose.published.yml").read_text()
    published = yaml.load(text, AnyTag)["services"]
    ours = {name for name, service in built.items() if service.get("build")}
    assert set(published) == ours
    for name in ours:
        local = re.match(r"sharezync-(\w+):", built[name]["image"])
        assert local is not None
        assert f"/sharezync-{local[1]}:" in published[name]["image"]
    (version,) = set(versions().values())
    tags = {each["image"].rpartition(":-")[2].rstrip("}") for each in published.values()}
    assert tags == {f"v{version}"}
    for overlay in (ROOT / "deploy" / "k8s" / "overlays").glob("*/kustomization.yaml"):
        for image in yaml.safe_load(overlay.read_text()).get("images", ()):
            assert image.get("newTag", "dev") in {"dev", f"v{version}"}, overlay
            name = image.get("newName", image["name"])
            assert re.fullmatch(r"(.*/)?sharezync-\w+", name), (overlay, name)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_workflows_have_few_rights_and_an_end(path: Path) -> None:
    made = workflow(path)
    assert made["permissions"] == {"contents": "read"}
    for job in made["jobs"].values():
        assert job["timeout-minutes"] <= 180
        for step in job["steps"]:
            if "uses" in step:
                assert re.fullmatch(r"[\w./-]+@(v\d+|[0-9a-f]{40})", step["uses"]), step
            if step.get("uses", "").startswith("actions/checkout"):
                assert step["with"]["persist-credentials"] is False
            # What others wrote (titles, branch names) must not be put into a script.
            assert "${{" not in step.get("run", ""), step


def test_releases_make_every_image_for_both_architectures_and_sign_it() -> None:
    jobs = workflow(ROOT / ".github" / "workflows" / "release.yml")["jobs"]
    images = jobs["images"]
    assert set(images["strategy"]["matrix"]["service"]) == set(SERVICES)
    assert images["permissions"]["id-token"] == "write"
    (build,) = [step for step in images["steps"] if "build-push" in step.get("uses", "")]
    assert build["with"]["platforms"] == "linux/amd64,linux/arm64"
    assert build["with"]["sbom"] is True
    assert any("cosign sign" in step.get("run", "") for step in images["steps"])
    assert (jobs["images"]["needs"], jobs["publish"]["needs"]) == ("check", "images")


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_targets_of_workflows_are_in_the_makefile(path: Path) -> None:
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    text = path.read_text()
    named = {target for line in re.findall(r"make ([a-z -]+)$", text, re.MULTILINE)
             for target in line.split()}  # fmt: skip
    for job in workflow(path)["jobs"].values():
        named |= set(job.get("strategy", {}).get("matrix", {}).get("target", ()))
    assert named <= targets


@pytest.mark.parametrize(
    ("schema", "paths"),
    [
        ("vendor.github-workflows", WORKFLOWS),
        ("vendor.github-issue-forms", FORMS),
        ("vendor.renovate", [ROOT / ".github" / "renovate.json"]),
    ],
)
def test_files_for_others_fit_their_schemas(schema: str, paths: list[Path]) -> None:
    checked = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, *map(str, paths)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout


def test_renovate_asks_before_it_bumps_the_server() -> None:
    rules = json.loads((ROOT / ".github" / "renovate.json").read_text())["packageRules"]
    assert any(
        "uvicorn" in rule.get("matchPackageNames", ()) and rule["dependencyDashboardApproval"]
        for rule in rules
    )


def test_every_page_stands_in_the_navigation_of_the_site() -> None:
    text = navigation((ROOT / "mkdocs.yml").read_text())
    listed = set(re.findall(r"[\w./-]+\.md", text))
    of_parts = {f"shared/src/sharezync_shared/{part}/README.md" for part in ("names", "server")}
    apart = {f"{f}/README.md" for f in ("bench", "examples", "testkit", "deploy/local-images")}
    assert {page.as_posix() for page in pages()} - listed == of_parts | apart
