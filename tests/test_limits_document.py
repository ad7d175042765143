"""`docs/limits.md` says what is so: settings that are read, their defaults, problems that exist."""

import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from sharezync_shared.problems import Problem
from tests.test_readmes import READ_BY, value_of

DOCUMENT = (Path(__file__).parents[1] / "docs" / "limits.md").read_text()
FIELDS = {
    name.upper(): field.default
    for settings in READ_BY.values()
    for name, field in settings.model_fields.items()
}


def rows() -> Iterator[tuple[str, str, str]]:
    """Yield number, setting and what comes beyond it, as the tables have them."""
    for line in DOCUMENT.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| ") and len(cells) == 4 and cells[0] != "what":
            yield cells[1], cells[2], cells[3]


for service in READ_BY:
    importlib.import_module(f"sharezync_{service}.app")  # with all its problems


def problems(kind: type[Problem] = Problem) -> Iterator[type[Problem]]:
    for problem in kind.__subclasses__():
        yield problem
        yield from problems(problem)


SETTINGS = {setting.strip("`"): number for number, setting, _ in rows() if setting != "–"}


@pytest.mark.parametrize("setting", SETTINGS)
def test_a_setting_is_read_and_has_that_default(setting: str) -> None:
    assert setting in FIELDS
    assert value_of(SETTINGS[setting]) == FIELDS[setting]


def test_every_number_of_things_that_is_a_setting_is_there() -> None:
    named = re.compile(r".*_PER_(USER|SENDER|RECIPIENT|CHANNEL|MESSAGE|FILE)|SEARCH.*|OFFERS_.*")
    assert {name for name in FIELDS if named.fullmatch(name)} <= SETTINGS.keys()


def test_every_refusal_is_a_problem_with_that_status() -> None:
    known = {(problem.kind.value, problem.slug) for problem in problems()}
    said = {
        (int(status), slug)
        for _, _, beyond in rows()
        for status, slug in re.findall(r"(4\d\d|5\d\d) `([a-z-]+)`", beyond)
    }
    assert len(said) >= 20
    assert said <= known


def test_every_too_many_of_a_service_is_there() -> None:
    ours = {
        problem.slug
        for problem in problems()
        if problem.slug.startswith("too-many-") and problem.__module__.startswith("sharezync_")
    }
    elsewhere = {"too-many-subscriptions"}  # of sockets: docs/realtime.md
    assert ours - elsewhere <= set(re.findall(r"`(too-many-[a-z]+)`", DOCUMENT))
