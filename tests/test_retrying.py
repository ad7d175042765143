"""Which refusals may be tried again, and when, is one rule over HTTP and on sockets."""

import importlib
from collections.abc import Iterator
from typing import Any, Final

import pytest

from sharezync_gateway.realtime.protocol import RETRYABLE, error_about
from sharezync_shared.problems import Problem, refusal_document
from sharezync_shared.settings import SERVICES

for _service in SERVICES:
    importlib.import_module(f"sharezync_{_service}.errors")

BY_NO_TIME: Final = {"too-many-offers", "too-many-transfers"}
"""What passes when others act, or the client itself."""
GIVEN: Final[dict[str, dict[str, Any]]] = {
    "link-locked": {"headers": {"Retry-After": "1"}},
    "too-many-uploads": {"headers": {"Retry-After": "1"}},
}
"""What those that raise a problem give it."""


def problems(kind: type[Problem] = Problem) -> Iterator[type[Problem]]:
    for problem in kind.__subclasses__():
        if problem.__module__.startswith("sharezync_"):
            yield problem
        yield from problems(problem)


ALL: Final = sorted(
    {each for each in problems() if "slug" in vars(each)},
    key=lambda problem: (problem.__module__, problem.__name__),
)


@pytest.mark.parametrize("kind", ALL, ids=[f"{each.__module__}.{each.__name__}" for each in ALL])
def test_what_may_be_tried_again_says_when_or_is_known_to_pass_by_no_time(
    kind: type[Problem],
) -> None:
    problem = kind(**GIVEN.get(kind.slug, {}))
    frame = error_about(1, problem)
    assert frame.retryable == (problem.status in RETRYABLE)
    if not frame.retryable:
        assert frame.retry_after_ms is None
        assert "retry_after_seconds" not in refusal_document(problem)
    else:
        assert ("Retry-After" not in problem.headers) == (kind.slug in BY_NO_TIME)
