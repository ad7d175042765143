"""Requests that follow from an OpenAPI document, put into a scene where they mean something.

Schemathesis makes them: one for each limit, left-out field, wrong type, method and media type, in
the same order in every run, and as many more at random as are asked for.
"""

import zlib
from collections.abc import Awaitable, Callable, Iterator, Mapping, MutableMapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

import httpx
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Unsatisfiable
from schemathesis.core.parameters import ParameterLocation
from schemathesis.core.result import Err
from schemathesis.generation import GenerationMode

from sharezync_testkit.forger import ABSENT, TokenKind

_BASE_URL: Final = "http://test"
_HALF: Final = "\ue000"
"""Stands for half of a surrogate pair, which JSON can spell, and nothing on the way could carry."""
_HOSTILE: Final[dict[type, tuple[str | int, ...]]] = {
    str: ("a\x00b", f"a{_HALF}b"),
    int: (2**63,),
}
# Bytes are bytes: Schemathesis refuses to send what it has no serializer for.
schemathesis.serializer.alias("application/offset+octet-stream", "application/octet-stream")
_MODES: Final = (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)

Operation = schemathesis.APIOperation[Any, Any, Any, Any]
Case = schemathesis.Case[Any]
"""A request in parts, and what is wrong with each on purpose."""


@dataclass(frozen=True)
class Scene:
    """Who asks, and what there is: made anew for each operation, as some destroy it.

    `user` and `service` are clients whose `Authorization` is sent to routes of their kind.
    `known` are values that mean something here, by the name of a parameter or of a member of the
    body, in lower case; elsewhere ids are made up, and all that could be learned is that nobody has
    them. ABSENT leaves one out; a function is called for a value of each request's own.
    """

    user: httpx.AsyncClient
    service: httpx.AsyncClient
    known: Mapping[str, Any] = field(default_factory=dict)

    def opens(self, kind: TokenKind | None) -> dict[str, str]:
        """Return the header that a route for this kind of token takes; None: it takes anybody."""
        if kind is None:
            return {}
        client = self.user if kind == "user" else self.service
        return {"authorization": client.headers["authorization"]}


Arrange = Callable[[str], Awaitable[Scene]]
"""Returns the scene for an operation, which is named as in `POST /v1/channels`."""


class Documented:
    """The operations of a document, and requests to each."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._schema = schemathesis.openapi.from_dict(_without_tuples(document))

    def operations(self) -> Iterator[Operation]:
        """Yield every operation; its `label` is as in `POST /v1/channels`."""
        for result in self._schema.get_all_operations():
            if isinstance(result, Err):
                raise result.err()
            yield result.ok()

    def right(self, operation: Operation) -> Case:
        """Return a request in which nothing is wrong."""
        return next(self._systematic(operation, [GenerationMode.POSITIVE]))

    def systematic(self, operation: Operation) -> Iterator[Case]:
        """Yield right and wrong requests, all that the document gives rise to."""
        return self._systematic(operation, list(_MODES))

    def hostile(self, operation: Operation) -> Iterator[Case]:
        """Yield right requests in which one text or number is none that a database can hold.

        Use each before the next is asked for: it is changed back.
        """
        seen = set()
        for case in self._systematic(operation, [GenerationMode.POSITIVE]):
            for location in (ParameterLocation.QUERY, ParameterLocation.BODY):
                is_json = case.media_type == "application/json" and location.name == "BODY"
                for place, holder, key in list(_leaves(case.get_container(location))):
                    before = holder[key]
                    for value in _HOSTILE.get(type(before), ()):
                        if (location, place, value) in seen or (
                            _HALF in str(value) and not is_json
                        ):
                            continue
                        seen.add((location, place, value))
                        holder[key] = value
                        yield case
                    holder[key] = before

    def at_random(self, operation: Operation, count: int, attempt: Callable[[Case], None]) -> None:
        """Call `attempt` with `count` right requests, and with as many wrong ones.

        Random to whoever reads them, and the same in every run.
        """
        bounds = settings(
            max_examples=count,
            database=None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        for mode in _MODES:

            @seed(zlib.crc32(operation.label.encode()))
            @bounds
            @given(operation.as_strategy(generation_mode=mode))
            def one(case: Case) -> None:
                attempt(case)

            with suppress(Unsatisfiable):  # what takes no input can't be given a wrong one
                one()

    def _systematic(self, operation: Operation, modes: list[GenerationMode]) -> Iterator[Case]:
        return self._schema.iter_coverage_cases(
            operation, generation_modes=modes, generation_config=self._schema.config.generation
        )


def request_of(case: Case, scene: Scene, authorization: Mapping[str, str]) -> httpx.Request:
    """Return the request that `case` is in this scene, with this authorization instead of its own.

    What is known replaces what was made up, where that was meant to be right.
    """
    for location, part in (case.meta.components if case.meta else {}).items():
        container = case.get_container(location)
        if part.mode.is_positive and isinstance(container, MutableMapping):
            _put_known(container, scene.known)
    made = requests.Request(**case.as_transport_kwargs(_BASE_URL)).prepare()
    headers = {name.lower(): value for name, value in made.headers.items()}
    headers.pop("authorization", None)
    content = made.body
    if case.media_type == "application/json" and isinstance(content, bytes):
        content = content.replace(rb"\ue000", rb"\ud800")
    return httpx.Request(
        made.method or "",
        made.url or "",
        headers=[(_raw(n), _raw(v)) for n, v in {**headers, **authorization}.items()],
        content=content,  # type: ignore[arg-type]  # bytes or text: nothing here reads a file
    )


def _put_known(container: MutableMapping[str, Any], known: Mapping[str, Any]) -> None:
    for name in [name for name in container if name.lower() in known]:
        value = known[name.lower()]
        if value is ABSENT:
            del container[name]
        elif container[name] not in _HOSTILE[str]:
            container[name] = value() if callable(value) else value


def token_kind_of(operation: Operation) -> TokenKind | None:
    """Return who is let in; None: everybody."""
    names = {name for way in operation.definition.raw.get("security", ()) for name in way}
    if not names:
        return None
    return "service" if "service" in names else "user"


def _leaves(node: Any, place: str = "") -> Iterator[tuple[str, Any, Any]]:  # noqa: ANN401 - any JSON
    """Yield each value in a body or a query: where it is, what holds it, and under which key."""
    if not isinstance(node, dict | list):
        return
    for key, value in node.items() if isinstance(node, dict) else enumerate(node):
        below = f"{place}/{key}" if isinstance(node, dict) else f"{place}/*"
        if isinstance(value, str | int):
            yield below, node, key
        else:
            yield from _leaves(value, below)


def _without_tuples(node: Any) -> Any:  # noqa: ANN401 - any JSON
    """Return the document with tuples told as lists of either type, as many as the tuple has.

    Schemathesis 4.32 mangles `prefixItems` below `additionalProperties` while it reads requests,
    and then can't read the answers any more.
    """
    if isinstance(node, list):
        return [_without_tuples(each) for each in node]
    if not isinstance(node, dict):
        return node
    told = {name: _without_tuples(value) for name, value in node.items()}
    if isinstance(types := told.pop("prefixItems", None), list):
        told["items"] = {"anyOf": types}
    return told


def _raw(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode("latin-1")
