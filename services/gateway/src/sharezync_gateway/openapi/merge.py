"""Several OpenAPI documents become one, of what can be reached through the gateway."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from sharezync_gateway.routing import RouteTable

Document = dict[str, Any]

_METHODS: Final = ("get", "head", "post", "put", "patch", "delete", "options")
_PARAMETER: Final = re.compile(r"\{[^}/]+\}")
_REF: Final = "#/components/"
_TAGS: Final = (
    "authentication", "users", "devices", "channels", "messages", "search", "files", "uploads",
    "transfers", "realtime", "health",
)  # fmt: skip
"""The order of the page: that in which a client needs them. Others come behind."""


def merge(documents: Mapping[str, Document], routes: RouteTable, *, info: Document) -> Document:
    """Return one document of all operations of `documents`, by service, that `routes` leads to.

    Component names that mean different things in two services get the service's name in front;
    operation ids that occur twice get the method behind. Components that nothing refers to any
    more are left out, and so is every path that isn't routed, `/internal` above all. `documents`
    are not changed.
    """
    clashing = _clashing_names(documents)
    merged: Document = {"openapi": "3.1.0", "info": info, "paths": {}, "components": {}}
    operation_ids: set[str] = set()
    tags: dict[str, Any] = {}
    for service, document in documents.items():
        renamed = _renamed(document, service, clashing)
        for path, method, operation in _routed(renamed, service, routes):
            _disambiguate(operation, method, operation_ids)
            operation.setdefault("tags", [service])
            merged["paths"].setdefault(path, {})[method] = operation
        for section, entries in renamed.get("components", {}).items():
            merged["components"].setdefault(section, {}).update(entries)
        tags.update((tag["name"], tag) for tag in renamed.get("tags", ()))
    merged["components"] = _referred_to(merged)
    used = {
        tag for item in merged["paths"].values() for each in item.values() for tag in each["tags"]
    }
    if described := [tag for name, tag in tags.items() if name in used]:
        merged["tags"] = sorted(described, key=_rank)
    return merged


def _rank(tag: Document) -> int:
    return _TAGS.index(tag["name"]) if tag["name"] in _TAGS else len(_TAGS)


def unrouted(document: Document, service: str, routes: RouteTable) -> list[str]:
    """Return the operations under `/v1` of a service that clients can't reach: a row is missing."""
    reached = {(path, method) for path, method, _ in _routed(document, service, routes)}
    return [
        f"{method.upper()} {path}"
        for path, item in document.get("paths", {}).items()
        for method in _METHODS
        if path.startswith("/v1/") and method in item and (path, method) not in reached
    ]


def _routed(
    document: Document, service: str, routes: RouteTable
) -> Iterator[tuple[str, str, Document]]:
    for path, item in document.get("paths", {}).items():
        example = _PARAMETER.sub("~", path).encode()  # no literal is called that
        shared = {key: value for key, value in item.items() if key not in _METHODS}
        for method in _METHODS:
            route = routes.look_up(method.upper(), example)
            if method in item and route is not None and route.service == service:
                yield path, method, {**shared, **item[method]}


def _disambiguate(operation: Document, method: str, taken: set[str]) -> None:
    name = operation.get("operationId")
    if name is None:
        return
    candidate, number = name, 1
    while candidate in taken:
        number += 1
        candidate = f"{name}_{method}" if number == 2 else f"{name}_{method}_{number}"
    operation["operationId"] = candidate
    taken.add(candidate)


def _clashing_names(documents: Mapping[str, Document]) -> set[tuple[str, str]]:
    """Return the (section, name) pairs that are not the same wherever they occur."""
    seen: dict[tuple[str, str], Any] = {}
    clashing: set[tuple[str, str]] = set()
    for document in documents.values():
        for section, entries in document.get("components", {}).items():
            for name, entry in entries.items():
                if seen.setdefault((section, name), entry) != entry:
                    clashing.add((section, name))
    # Two that read the same, but refer to what differs, differ.
    while True:
        more = {
            key
            for key, entry in seen.items()
            if key not in clashing and not clashing.isdisjoint(_refs(entry))
        }
        if not more:
            return clashing
        clashing |= more


def _renamed(document: Document, service: str, clashing: set[tuple[str, str]]) -> Document:
    def name_of(section: str, name: str) -> str:
        # Schemes are named by `security`, not by reference; all services share them.
        keeps = (section, name) not in clashing or section == "securitySchemes"
        return name if keeps else service.capitalize() + name

    def rename(value: Any) -> Any:  # noqa: ANN401 - any JSON
        if isinstance(value, list):
            return [rename(item) for item in value]
        if not isinstance(value, dict):
            return value
        return {
            key: _reference(item, name_of)
            if key == "$ref" and isinstance(item, str)
            else rename(item)
            for key, item in value.items()
        }

    renamed: Document = rename(document)
    renamed["components"] = {
        section: {name_of(section, name): entry for name, entry in entries.items()}
        for section, entries in renamed.get("components", {}).items()
    }
    return renamed


def _reference(reference: str, name_of: Any) -> str:  # noqa: ANN401 - a local function of (section, name)
    target = _target(reference)
    return reference if target is None else f"{_REF}{target[0]}/{name_of(*target)}"


def _target(reference: str) -> tuple[str, str] | None:
    if not reference.startswith(_REF):
        return None
    section, _, name = reference.removeprefix(_REF).partition("/")
    return section, name


def _refs(value: Any) -> Iterator[tuple[str, str]]:  # noqa: ANN401 - any JSON
    if isinstance(value, list):
        for item in value:
            yield from _refs(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            if key == "$ref" and isinstance(item, str):
                target = _target(item)
                if target is not None:
                    yield target
            else:
                yield from _refs(item)


def _referred_to(document: Document) -> Document:
    """Return the components that paths refer to, and what those refer to, and so on."""
    components = document["components"]
    wanted: set[tuple[str, str]] = set()
    ahead = list(_refs(document["paths"]))
    while ahead:
        key = ahead.pop()
        if key not in wanted and key[1] in components.get(key[0], {}):
            wanted.add(key)
            ahead.extend(_refs(components[key[0]][key[1]]))
    schemes = {
        name
        for item in document["paths"].values()
        for operation in item.values()
        for requirement in operation.get("security", ())
        for name in requirement
    }
    wanted |= {("securitySchemes", name) for name in schemes}
    return {
        section: kept
        for section, entries in components.items()
        if (kept := {n: e for n, e in entries.items() if (section, n) in wanted})
    }
