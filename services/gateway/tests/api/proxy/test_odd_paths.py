"""Where somebody is let in to: what has a row in the table of routes, and never inside."""

import pytest
from starlette.types import Receive, Scope, Send

from services.gateway.tests.api.proxy.rig import JSON_PATH, Rig, answer

pytestmark = pytest.mark.asyncio(loop_scope="module")


INTERNAL = [
    "/internal/revocations",
    "/internal",
    "/Internal/revocations",
    "/INTERNAL/revocations",
    "//internal/revocations",
    "/./internal/revocations",
    "/%69nternal/revocations",
    "/%49nternal/revocations",
    "/internal%2frevocations",
    "/%2finternal/revocations",
    "/v1/../internal/revocations",
    "/v1/%2e%2e/internal/revocations",
    "/v1/%2E./internal/revocations",
    "/v1/..%2finternal/revocations",
    "/v1/..;/internal/revocations",
    "/v1/.../internal/revocations",
    "/v1\\..\\internal/revocations",
    "/v1/%5c../internal/revocations",
    "/v1/channels/../../internal/revocations",
    "/v1/channels/%2e%2e/%2e%2e/internal/revocations",
    "/v1/channels/%252e%252e/internal",
    "/v1/channels/x%00/internal",
    "/v1/internal/revocations",
    "/%c0%afinternal/revocations",
    "/%e0%80%afinternal/revocations",
    "/internal/revocations/",
    "/internal/revocations?x=/v1/channels",
    "/internal;x=/v1/channels",
    "http://gateway.test/internal/revocations",
    "http://chat:8002/internal/revocations",
]


@pytest.mark.parametrize("target", INTERNAL)
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_internal_paths_are_never_reached(rig: Rig, target: str, method: str) -> None:
    refused = await rig.ask(method, target)
    assert refused.status in {400, 404}
    assert refused.headers["content-type"] == "application/problem+json"
    assert not rig.puppet.seen


@pytest.mark.parametrize(
    "path", ["/v1", "/v2/channels", "/metrics", "/admin", "/users/me", "/channels/my-memberships"]
)
async def test_what_has_no_row_does_not_exist(rig: Rig, path: str) -> None:
    refused = await rig.ask("GET", path)
    assert (refused.status, refused.json()["code"]) == (404, "not-found")
    assert not rig.puppet.seen


async def test_a_slash_at_the_end_means_nothing(rig: Rig) -> None:
    answered = await rig.ask("GET", f"{JSON_PATH}/?limit=1")
    assert answered.status == 200
    assert (answered.json()["raw_path"], answered.json()["query"]) == (JSON_PATH, "limit=1")
    assert (await rig.ask("GET", f"{JSON_PATH}//")).status == 400


async def test_a_known_path_says_which_methods_it_has(rig: Rig) -> None:
    refused = await rig.ask("DELETE", JSON_PATH)
    assert (refused.status, refused.json()["code"]) == (405, "method-not-allowed")
    assert refused.headers["allow"] == "GET, POST"
    assert not rig.puppet.seen


@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "PROPFIND", "get"])
async def test_other_methods_are_refused(rig: Rig, method: str) -> None:
    wire = await rig.wire()
    await wire.send(rig.request(method, JSON_PATH))
    refused = await wire.answer()
    assert refused.status in {400, 405}
    assert not rig.puppet.seen


async def test_what_is_matched_is_what_is_forwarded(rig: Rig) -> None:
    await rig.ask("PUT", "/v1/%6Dessages/1/reactions/%f0%9f%98%80")
    assert rig.puppet.seen[-1]["raw_path"] == b"/v1/messages/1/reactions/%F0%9F%98%80"
    assert rig.puppet.seen[-1]["path"] == "/v1/messages/1/reactions/😀"


async def test_an_absolute_target_is_read_as_its_path(rig: Rig) -> None:
    told = (await rig.ask("GET", f"http://elsewhere.test{JSON_PATH}")).json()
    assert told["path"] == JSON_PATH
    assert rig.puppet.header("x-forwarded-host") == ["elsewhere.test"]  # RFC 9112 §3.2.2


async def test_the_method_that_overrides_decides_which_route_it_is(rig: Rig) -> None:
    path, line = "/v1/uploads/x", "X-HTTP-Method-Override: PATCH"
    for method in ("PUT", "POST", "OPTIONS"):  # one without a route, one with, one without a token
        answered = await rig.ask(method, path, line)
        assert (answered.status, answered.json()["method"]) == (200, "PATCH"), method
    refused = await rig.ask("PATCH", path, "X-HTTP-Method-Override: PUT")
    assert refused.status == 405
    elsewhere = await rig.ask("GET", JSON_PATH, "X-HTTP-Method-Override: DELETE")
    assert elsewhere.json()["method"] == "GET"


async def test_an_overridden_head_is_answered_as_the_request_on_the_wire_must_be(rig: Rig) -> None:
    async def gone(scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["method"] == "HEAD"
        await answer(send, b"gone", 404)

    rig.puppet.handler = gone
    wire = await rig.wire()
    for status in (404, 404):  # the connection stays in order
        await wire.send(rig.request("POST", "/v1/uploads/x", "X-HTTP-Method-Override: HEAD"))
        answered = await wire.answer()
        assert (answered.status, answered.headers["content-length"]) == (status, "0")
    await wire.send(rig.request("POST", "/v1/uploads/x/y", "X-HTTP-Method-Override: HEAD"))
    assert (await wire.answer()).status == 404, "a refusal of the gateway itself"
