"""How many examples: few in `make test`, else as many as asked for."""

import os
from typing import TypeVar

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

Drawn = TypeVar("Drawn")

ASKED = int(os.environ.get("EXAMPLES", "0"))


def count(usual: int, *, cost: int = 1) -> int:
    """Return how many examples a test tries, of which one takes `cost` times the cheapest."""
    return max(usual, ASKED // cost)


def examples(usual: int) -> settings:
    """Decorate a test of Hypothesis: `usual` examples, or as many as asked."""
    return settings(
        max_examples=count(usual),
        database=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )


def drawn(strategy: st.SearchStrategy[Drawn], number: int) -> list[Drawn]:
    """Return examples themselves, for tests that send many at a time."""
    found: list[Drawn] = []

    @settings(examples(1), max_examples=number, phases=[Phase.generate])
    @given(strategy)
    def keep(example: Drawn) -> None:
        found.append(example)

    keep()
    return found
