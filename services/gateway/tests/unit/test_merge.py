"""Several OpenAPI documents become one."""

import copy
from typing import Any

import pytest

from sharezync_gateway.openapi.merge import merge, unrouted
from sharezync_gateway.openapi.own import own_document
from sharezync_gateway.routes import ROUTES
from sharezync_gateway.routing import RouteTable
from sharezync_testkit.openapi import check_openapi

TABLE = RouteTable(ROUTES, services={"gateway", "auth", "chat", "transfer", "storage"})
INFO = {"title": "All", "version": "1"}


def ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def operation(name: str, schema: str) -> dict[str, Any]:
    content = {"application/json": {"schema": ref(schema)}}
    return {
        "operationId": name,
        "security": [{"user": []}],
        "responses": {"200": {"description": "ok", "content": content}},
    }


def document(paths: dict[str, Any], **schemas: Any) -> dict[str, Any]:
    flow = {"password": {"tokenUrl": "/token", "scopes": {}}}
    return {
        "openapi": "3.1.0",
        "info": {"title": "x", "version": "1"},
        "paths": paths,
        "components": {
            "schemas": {"Problem": {"type": "object"}, **schemas},
            "securitySchemes": {
                "user": {"type": "oauth2", "flows": flow},
                "service": {"type": "http", "scheme": "bearer"},
            },
        },
    }


CHAT = document(
    {
        "/v1/channels/{channel_id}": {
            "parameters": [
                {"name": "channel_id", "in": "path", "required": True, "schema": {"type": "string"}}
            ],
            "get": operation("read", "Page"),
        },
        "/v1/channels": {"post": operation("create", "Item")},
        "/internal/streams/heads": {"get": operation("heads", "Secret")},
        "/v1/secret": {"get": operation("secret", "Item")},
        "/health": {"get": operation("health", "Item")},
    },
    Item={"type": "object", "title": "a channel"},
    Page={"type": "object", "properties": {"items": {"type": "array", "items": ref("Item")}}},
    Secret={"type": "object"},
)
AUTH = document(
    {
        "/v1/users/me": {"get": operation("read", "Page"), "patch": operation("read", "Item")},
        "/v1/channels": {"get": operation("theft", "Item")},
    },
    Item={"type": "object", "title": "a user"},
    Page={"type": "object", "properties": {"items": {"type": "array", "items": ref("Item")}}},
)


@pytest.fixture
def merged() -> dict[str, Any]:
    return merge({"gateway": own_document(), "chat": CHAT, "auth": AUTH}, TABLE, info=INFO)


def test_the_outcome_is_valid(merged: dict[str, Any]) -> None:
    check_openapi(merged)


def test_only_what_can_be_reached_is_in_it(merged: dict[str, Any]) -> None:
    assert set(merged["paths"]) == {
        "/v1/channels/{channel_id}", "/v1/channels", "/v1/users/me",
        "/health", "/ready", "/openapi.json", "/asyncapi.json",
        "/v1/transfers/{transfer_id}/files/{file}/chunks/{index}",
        "/v1/transfers/{transfer_id}/files/{file}/content",
    }  # fmt: skip
    assert set(merged["paths"]["/v1/channels"]) == {"post"}, "chat's, and not what auth says of it"
    assert merged["paths"]["/health"]["get"]["operationId"] == "get_liveness"
    assert "Secret" not in merged["components"]["schemas"]
    assert set(merged["components"]["securitySchemes"]) == {"user", "transfer"}


def test_operation_ids_are_unique(merged: dict[str, Any]) -> None:
    ids = [op["operationId"] for item in merged["paths"].values() for op in item.values()]
    assert len(ids) == len(set(ids))


def test_names_that_mean_different_things_are_told_apart(merged: dict[str, Any]) -> None:
    schemas = merged["components"]["schemas"]
    assert schemas["ChatItem"]["title"] == "a channel"
    assert schemas["AuthItem"]["title"] == "a user"
    # The two pages read the same, but are pages of different things.
    assert schemas["ChatPage"]["properties"]["items"]["items"] == ref("ChatItem")
    assert schemas["AuthPage"]["properties"]["items"]["items"] == ref("AuthItem")
    content = merged["paths"]["/v1/users/me"]["patch"]["responses"]["200"]["content"]
    assert content["application/json"]["schema"] == ref("AuthItem")


def test_names_that_mean_the_same_are_kept() -> None:
    one = document({"/v1/users/me": {"get": operation("a", "Problem")}})
    two = document({"/v1/channels": {"get": operation("b", "Problem")}})
    merged = merge({"auth": one, "chat": two}, TABLE, info=INFO)
    assert set(merged["components"]["schemas"]) == {"Problem"}


def test_documents_are_left_as_they_were() -> None:
    before = copy.deepcopy(CHAT)
    merge({"chat": CHAT, "auth": AUTH}, TABLE, info=INFO)
    assert before == CHAT


def test_operations_without_a_row_are_named() -> None:
    assert unrouted(CHAT, "chat", TABLE) == ["GET /v1/secret"]
