"""The route table and how it is searched."""

import pytest

from sharezync_gateway.proxy.http import HttpUpstream
from sharezync_gateway.routes import ROUTES, SOCKET_ROUTES, Access, RateClass, Route
from sharezync_gateway.routing import RouteTable
from sharezync_shared.problems import NotAllowed, NotFound
from sharezync_shared.settings import SERVICES


def route(path: str, methods: str = "GET", **terms: object) -> Route:
    return Route(methods=frozenset(methods.split()), path=path, service="chat", **terms)  # type: ignore[arg-type]


def table(*routes: Route) -> RouteTable:
    return RouteTable(routes, services=SERVICES)


def test_the_real_table_is_in_order() -> None:
    RouteTable(ROUTES, services=SERVICES)
    RouteTable(SOCKET_ROUTES, services=SERVICES)
    assert {r.service for r in ROUTES} == set(SERVICES)
    assert {r.rate for r in (*ROUTES, *SOCKET_ROUTES)} == set(RateClass), (
        "a class that no route has"
    )


@pytest.mark.parametrize(
    ("method", "path", "template"),
    [
        ("GET", "/v1/files/presigned", None),
        ("POST", "/v1/files/presigned", "/v1/files/presigned"),
        ("GET", "/v1/files/0192", "/v1/files/{id}"),
        ("GET", "/v1/transfers/stats", "/v1/transfers/stats"),
        ("GET", "/v1/users/me", "/v1/users/me"),
        ("PATCH", "/v1/users/me", "/v1/users/me"),
        ("GET", "/v1/users/me/devices", "/v1/users/{id}/devices"),
        ("PATCH", "/v1/users/0192", None),
        ("GET", "/openapi/chat.json", "/openapi/{document}"),
        ("POST", "/token", "/token"),
        ("GET", "/.well-known/jwks.json", "/.well-known/jwks.json"),
        ("HEAD", "/v1/uploads/1", "/v1/uploads/{id}"),
        ("PATCH", "/v1/uploads/1", "/v1/uploads/{id}"),
        ("GET", "/v1", None),
        ("GET", "/v1/users/me/", None),
        ("GET", "/v1/users//devices", None),
    ],
)
def test_the_longest_and_plainest_match_is_found(
    method: str, path: str, template: str | None
) -> None:
    found = RouteTable(ROUTES, services=SERVICES).look_up(method, path.encode())
    assert (found.path if found else None) == template


def test_a_literal_that_leads_nowhere_does_not_hide_a_parameter() -> None:
    routes = table(route("/a/b/c"), route("/a/{x}/d"))
    assert routes.find("GET", b"/a/b/d").path == "/a/{x}/d"
    assert routes.find("GET", b"/a/b/c").path == "/a/b/c"


def test_unknown_paths_and_methods_are_told_apart() -> None:
    routes = table(route("/a", "GET PUT"))
    with pytest.raises(NotFound):
        routes.find("GET", b"/b")
    with pytest.raises(NotAllowed) as refused:
        routes.find("POST", b"/a")
    assert refused.value.headers["Allow"] == "GET, PUT"


@pytest.mark.parametrize(
    "wrong",
    [
        [route("/a"), route("/a")],
        [route("/a/{x}"), route("/a/{y}")],
        [route("a")],
        [route("/a//b")],
        [route("/a/")],
        [route("/a/../b")],
        [route("/a/{x}.json")],
        [route("/{anything}")],
        [route("/internal/revocations")],
        [route("/v1/Internal")],
        [route("/a", "FETCH")],
        [route("/a", "")],
        [route("/a", access=Access.PUBLIC)],
        [route("/a", rate=RateClass.SIGN_IN)],
        [Route(methods=frozenset({"GET"}), path="/a", service="billing")],
    ],
)
def test_a_table_that_is_not_in_order_is_refused(wrong: list[Route]) -> None:
    with pytest.raises(ValueError):
        table(*wrong)


@pytest.mark.parametrize("url", ["", "chat:8002", "ftp://chat", "http://"])
def test_a_service_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ValueError):
        HttpUpstream(url)
