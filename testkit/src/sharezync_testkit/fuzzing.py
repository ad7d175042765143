"""Whatever comes in, a service answers as its OpenAPI document says, and refuses with a problem.

    async def test_whatever_comes_is_answered_as_the_document_says(world):
        async def arrange(operation: str) -> Scene:
            person = await world.person()
            return Scene(person.http, world.gateway, {"channel_id": await person.channel()})

        await fuzz(world.app, arrange)

The requests are those of `documented.py`, over ASGI, in the event loop of the application.
FUZZ_RANDOM_REQUESTS asks for more of those at random than there is time for in every run.
"""

import os
from collections import Counter, defaultdict
from collections.abc import Awaitable, Collection, Iterator, Mapping
from functools import partial
from itertools import chain
from typing import Final

import httpx
from fastapi import FastAPI
from schemathesis import CheckContext, CheckFunction, Response
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from sharezync_testkit.documented import (
    Arrange,
    Case,
    Documented,
    Scene,
    request_of,
    token_kind_of,
)
from sharezync_testkit.threads import LoopThread

__all__ = ["Scene", "fuzz"]

_UNKNOWN_FIELD: Final = "x-schemathesis-unknown-property"
_RANDOM_REQUESTS: Final = int(os.environ.get("FUZZ_RANDOM_REQUESTS", "4"))


async def fuzz(app: FastAPI, arrange: Arrange, *, always_refused: Collection[str] = ()) -> None:
    """Send right and wrong requests of all kinds to every operation of `app`, which is running.

    Raises AssertionError with one request for each kind of fault, and where an operation refused
    everything, as then nothing was learned of what lies behind; those in `always_refused` must.
    """
    loop = LoopThread()
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport) as client:
        fuzzer = _Fuzzer(Documented(app.openapi()), client, arrange, loop)
        await loop.aside(fuzzer.run)
    await app.state.core.relay.flush(30)  # or whoever comes next on this database tells it
    faults = [f"{kind}\n{text}" for kind, text in fuzzer.faults.items()]
    refused = {name: dict(n) for name, n in fuzzer.statuses.items() if min(n) >= 400}
    if refused.keys() != set(always_refused):
        faults.append(f"Refused whatever came: {refused}")
    if faults:
        raise AssertionError("\n\n".join(faults))


class _Fuzzer:
    """Lives in a thread, as Hypothesis can't await; requests and scenes are made on the loop."""

    def __init__(
        self, documented: Documented, client: httpx.AsyncClient, arrange: Arrange, loop: LoopThread
    ) -> None:
        self._documented = documented
        self._client = client
        self._arrange = arrange
        self._loop = loop
        self.statuses: dict[str, Counter[int]] = defaultdict(Counter)
        self.faults: dict[str, str] = {}

    def run(self) -> None:
        for operation in self._documented.operations():
            scene = self._loop.do(_awaited(self._arrange(operation.label)))
            attempt = partial(self._attempt, scene)
            for case in chain(
                self._documented.systematic(operation), self._documented.hostile(operation)
            ):
                attempt(case)
            self._documented.at_random(operation, _RANDOM_REQUESTS, attempt)

    def _attempt(self, scene: Scene, case: Case) -> None:
        request = request_of(case, scene, scene.opens(token_kind_of(case.operation)))
        answer = self._loop.do(self._client.send(request))
        name = case.operation.label
        self.statuses[name][answer.status_code] += 1
        try:
            case.validate_response(answer, checks=_CHECKS)
        except FailureGroup as group:
            for failure in group.exceptions:
                kind = f"{name}: {answer.status_code}: {failure.title}"
                self.faults.setdefault(kind, str(group))


async def _awaited(scene: Awaitable[Scene]) -> Scene:
    return await scene


# --- what must hold of every answer, beside what Schemathesis knows of itself ---------------------


def refusals_are_problems(_: CheckContext, answer: Response, case: Case) -> None:
    """Check that every refusal is a problem document that agrees with itself (RFC 9457).

    Its media type is for the document to say: that of OAuth2's errors is not ours to choose.
    """
    if answer.status_code < 400 or case.method == "HEAD":
        return
    problem = answer.json()
    known_by = f"urn:sharezync:problem:{problem['code']}"
    if (problem["status"], problem["type"]) != (answer.status_code, known_by):
        raise AssertionError(f"The problem contradicts itself: {problem}")
    if answer.status_code == 401 and "www-authenticate" not in answer.headers:
        raise AssertionError(f"A 401 without a challenge: {answer.headers}")


def wrong_data_is_refused(context: CheckContext, answer: Response, case: Case) -> bool | None:
    """Check that what does not fit the document is refused, where trimming can't mend it."""
    if answer.status_code >= 400:
        return None  # refused it is: which status is for the document to say
    if case.media_type == "multipart/form-data":
        return None  # every part is bytes, whatever was meant by them
    if _UNKNOWN_FIELD in (case.headers or {}):
        return None  # a field that one doesn't know is ignored (RFC 9110 §5.1)
    if any(text != text.strip() for text in _texts([case.query, case.body])):
        return None
    return negative_data_rejection(context, answer, case)


def _texts(node: object) -> Iterator[str]:
    if isinstance(node, str):
        yield node
    elif isinstance(node, Mapping):
        yield from _texts(list(node.values()))
    elif isinstance(node, list):
        for each in node:
            yield from _texts(each)


_CHECKS: Final[list[CheckFunction]] = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    wrong_data_is_refused,
    refusals_are_problems,
]
