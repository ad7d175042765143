"""The list of mutants fits the code: else `make mutants` would plant less than it says."""

import ast

import pytest

from tests.mutants.listed import ROOT, Mutant, load

MUTANTS = load()


def test_the_list_is_long_and_names_each_once() -> None:
    assert len(MUTANTS) >= 60
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_each_can_be_planted_and_names_tests_that_are_there(mutant: Mutant) -> None:
    text = (ROOT / mutant.file).read_text()
    planted = mutant.planted(text)
    assert planted != text
    ast.parse(planted)
    for target in mutant.noticed_by:
        path, _, name = target.partition("::")
        assert (ROOT / path).exists(), f"{path} is not there"
        if name:
            assert f"def {name}(" in (ROOT / path).read_text()
