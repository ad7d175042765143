"""How many examples, and which: few and the same ones in `make test`, else as many as asked for."""

import os
from typing import Any

from hypothesis import HealthCheck, settings

ASKED = int(os.environ.get("EXAMPLES", "0"))


def examples(usual: int) -> Any:
    """Decorate a test of Hypothesis; with EXAMPLES=n: n new ones each time (`make differential`)."""
    return settings(
        max_examples=ASKED or usual,
        derandomize=not ASKED,
        database=None,
        deadline=None,
        print_blob=True,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )
