"""How many examples, and which: few and the same ones in `make test`, else as many as asked for."""

import os
from typing import TypeVar

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

Drawn = TypeVar("Drawn")

ASKED = int(os.environ.get("EXAMPLES", "0"))


def examples(usual: int) -> settings:
    """Decorate a test of Hypothesis; with EXAMPLES=n: n new ones each time (`make differential`)."""
    return settings(
        max_examples=ASKED or usual,
        derandomize=not ASKED,
        database=None,
        deadline=None,
        print_blob=True,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )


def drawn(strategy: st.SearchStrategy[Drawn], usual: int) -> list[Drawn]:
    """Return examples themselves, for tests that send many at a time: the same ones as above."""
    found: list[Drawn] = []

    @settings(examples(usual), phases=[Phase.generate])
    @given(strategy)
    def keep(example: Drawn) -> None:
        found.append(example)

    keep()
    return found
