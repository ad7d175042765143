"""What users read of the API follows one scheme: names, summaries, descriptions, examples."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sharezync_gateway.asyncapi.compose import compose
from sharezync_gateway.openapi.merge import merge
from sharezync_gateway.openapi.own import own_document
from sharezync_gateway.routes import ROUTES
from sharezync_gateway.routing import RouteTable
from sharezync_shared.tokens.issuer import TokenIssuer
from sharezync_shared.tokens.signing import SigningKey
from sharezync_testkit.service import platform_for_tests
from tests.openapi_rules import TAGS, faults_of, metaphors_in, operations_of
from tests.test_texts import APPS

Documents = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def documents(tmp_path_factory: pytest.TempPathFactory) -> Documents:
    """The document of each service, as JSON has it, and the gateway's merged one as `all`."""
    folder: Path = tmp_path_factory.mktemp("storage")
    key = TokenIssuer(key=SigningKey.generate())
    own = {
        "gateway": own_document(),
        **{name: APPS[name](platform_for_tests(name, key), folder).openapi() for name in APPS},
    }
    table = RouteTable(ROUTES, services=set(own))
    merged = merge(own, table, info={"title": "ShareZync", "version": "1"})
    found: Documents = json.loads(json.dumps({**own, "all": merged}))
    return found


@pytest.mark.parametrize("name", ["all", "gateway", *APPS])
def test_the_document_keeps_the_rules(documents: Documents, name: str) -> None:
    assert faults_of(documents[name]) == []


def test_the_merged_document_has_every_tag_in_order(documents: Documents) -> None:
    assert tuple(tag["name"] for tag in documents["all"]["tags"]) == TAGS


def test_what_is_said_of_sockets_and_events_has_no_metaphors(documents: Documents) -> None:
    document = compose({name: documents[name] for name in APPS}, version="1", missing=[])
    assert list(metaphors_in(document)) == []


def test_names_of_operations_stay_as_their_service_has_them(documents: Documents) -> None:
    """A client that was generated from one service's document has the merged one's methods."""
    own = {
        (path, method): operation["operationId"]
        for name in ("gateway", *APPS)
        for path, method, operation in operations_of(documents[name])
    }
    for path, method, operation in operations_of(documents["all"]):
        assert operation["operationId"] == own[path, method]


def _document() -> dict[str, Any]:
    """Return a document that keeps the rules."""
    schema = {
        "description": "A channel to create.",
        "properties": {
            "name": {"type": "string", "description": "The name"},
            "kind": {"type": "string", "description": "Who can find it"},
        },
        "examples": [{"name": "engines", "kind": "public"}, {"name": "team", "kind": "private"}],
    }
    problem: dict[str, Any] = {
        "application/problem+json": {"examples": {"conflict": {"value": {}}}}
    }
    operation = {
        "operationId": "create_channel",
        "summary": "Create a channel",
        "description": "Creates a channel.",
        "tags": ["channels"],
        "parameters": [{"name": "dry", "in": "query", "description": "Only check the input"}],
        "requestBody": {
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Channel"}}}
        },
        "responses": {
            "201": {"description": "Created"},
            "409": {"description": "`conflict`", "content": problem},
        },
    }
    return {
        "tags": [{"name": "channels", "description": "Channels and their members."}],
        "paths": {"/v1/channels": {"post": operation}},
        "components": {"schemas": {"Channel": schema}},
    }


def _operation(document: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = document["paths"]["/v1/channels"]["post"]
    return found


def _schema(document: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = document["components"]["schemas"]["Channel"]
    return found


BREAKING: dict[str, Callable[[dict[str, Any]], object]] = {
    "is not unique": lambda d: d["paths"].update(more=copy.deepcopy(d["paths"]["/v1/channels"])),
    "is not a verb of post": lambda d: _operation(d).update(operationId="post_channel"),
    "doesn't begin with an imperative": lambda d: _operation(d).update(summary="A new channel"),
    "ends with a period": lambda d: _operation(d).update(summary="Create a channel."),
    "is too long": lambda d: _operation(d).update(summary="Create " + "a channel " * 6),
    "is no sentence": lambda d: _operation(d).pop("description"),
    "wants one declared tag": lambda d: _operation(d).update(tags=["messages"]),
    "tag channels: no description": lambda d: d["tags"][0].pop("description"),
    "tags: unknown": lambda d: d["tags"].append({"name": "more", "description": "More."}),
    "tags: not in the order": lambda d: d["tags"].append({"name": "users", "description": "U."}),
    "parameter dry has no description": lambda d: _operation(d)["parameters"][0].pop("description"),
    "response 201 has no description": lambda d: _operation(d)["responses"].update({"201": {}}),
    "error 409 has no example": lambda d: _operation(d)["responses"]["409"].pop("content"),
    "wants two examples": lambda d: _schema(d)["examples"].pop(),
    'is not of type "string"': lambda d: _schema(d)["examples"][0].update(name=7),
    "schema Channel: no description": lambda d: _schema(d).pop("description"),
    "property kind has no": lambda d: _schema(d)["properties"]["kind"].pop("description"),
    "'door' in": lambda d: _operation(d).update(description="Opens a door."),
}  # fmt: skip


def test_a_document_that_keeps_the_rules_has_no_fault() -> None:
    assert faults_of(_document()) == []


@pytest.mark.parametrize("fault", BREAKING)
def test_each_rule_finds_what_breaks_it(fault: str) -> None:
    document = _document()
    BREAKING[fault](document)
    assert [found for found in faults_of(document) if fault in found]
