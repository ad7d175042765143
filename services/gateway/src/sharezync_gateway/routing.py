"""Finding the route of a request, and refusing a table that says two things or a forbidden one."""

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Final

from sharezync_gateway.routes import Access, RateClass, Route
from sharezync_shared.problems import NotAllowed, NotFound

_METHODS: Final = frozenset(
    {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "WEBSOCKET"}
)
_LITERAL: Final = re.compile(r"[A-Za-z0-9_~-][A-Za-z0-9._~-]*|\.well-known")
_PARAMETER: Final = re.compile(r"\{[a-z][a-z0-9_]*\}")
_NEVER: Final = "internal"
_BY_ADDRESS: Final = frozenset(
    {RateClass.PUBLIC, RateClass.SIGN_IN, RateClass.SOCKETS, RateClass.FREE}
)


@dataclass(slots=True)
class _Node:
    literals: dict[bytes, "_Node"] = field(default_factory=dict)
    parameter: "_Node | None" = None
    routes: dict[str, Route] = field(default_factory=dict)


class RouteTable:
    """Finds the one route for a method and a path, or says that there is none.

    Segment by segment, a literal wins over a parameter: `/v1/files/presigned` is not the file
    called "presigned". Raises ValueError for a table that is not in order.
    """

    def __init__(self, routes: Iterable[Route], *, services: Collection[str]) -> None:
        self._root = _Node()
        for route in routes:
            _check(route, services)
            self._add(route)

    def _add(self, route: Route) -> None:
        node = self._root
        for segment in route.path[1:].split("/"):
            if segment.startswith("{"):
                node.parameter = node.parameter or _Node()
                node = node.parameter
            else:
                node = node.literals.setdefault(segment.encode(), _Node())
        for method in route.methods:
            if method in node.routes:
                raise ValueError(f"{method} {route.path} stands in the route table twice")
            node.routes[method] = route

    def find(self, method: str, path: bytes) -> Route:
        """Return the route for a normalised path.

        Raises NotFound for a path that has none, NotAllowed (with `Allow`) for a method it hasn't.
        """
        routes = self._routes_of(path)
        if not routes:
            raise NotFound("The path doesn't exist")
        if method not in routes:
            allowed = ", ".join(sorted(routes))
            raise NotAllowed(f"Allowed methods: {allowed}", headers={"Allow": allowed})
        return routes[method]

    def look_up(self, method: str, path: bytes) -> Route | None:
        """Return the route for a normalised path, or None."""
        return self._routes_of(path).get(method)

    def _routes_of(self, path: bytes) -> dict[str, Route]:
        return _descend(self._root, path[1:].split(b"/"), 0)


def _descend(node: _Node, segments: list[bytes], at: int) -> dict[str, Route]:
    if at == len(segments):
        return node.routes
    literal = node.literals.get(segments[at])
    if literal is not None and (found := _descend(literal, segments, at + 1)):
        return found
    if node.parameter is not None and segments[at]:
        return _descend(node.parameter, segments, at + 1)
    return {}


def _check(route: Route, services: Collection[str]) -> None:
    name = f"{' '.join(sorted(route.methods))} {route.path}"
    if route.service not in services:
        raise ValueError(f"{name}: there is no service {route.service!r}")
    if not route.methods or not route.methods <= _METHODS:
        raise ValueError(f"{name}: a method is missing or not known")
    if not route.path.startswith("/"):
        raise ValueError(f"{name}: a path begins with a slash")
    segments = route.path[1:].split("/") if route.path != "/" else []
    if not all(_LITERAL.fullmatch(s) or _PARAMETER.fullmatch(s) for s in segments):
        raise ValueError(f"{name}: a segment is neither a plain word nor a {{parameter}}")
    if any(_NEVER in segment.lower() for segment in segments) or route.path[1:2] == "{":
        raise ValueError(f"{name}: internal paths are never routed")
    if route.access is Access.PUBLIC and route.rate not in _BY_ADDRESS:
        raise ValueError(f"{name}: {route.rate} is counted by user, and this is public")
    if route.access is Access.USER and route.rate in _BY_ADDRESS:
        raise ValueError(f"{name}: {route.rate} is counted by address, and this has a user")
