"""One plain, valid request for each documented operation of an application."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from fastapi import FastAPI

_ID: Final = "01936f0c-2b7e-7d33-8000-000000000001"
_TEXTS: Final = {"uuid": _ID, "date-time": "2030-01-01T00:00:00Z", "email": "ada@example.org"}
_TEXT: Final = "x-text"
_METHODS: Final = frozenset({"get", "put", "post", "patch", "delete", "head", "options"})


@dataclass(frozen=True)
class PlainRequest:
    """`name` is method and path template; the rest is as httpx takes it."""

    name: str
    method: str
    path: str
    params: dict[str, str]
    headers: dict[str, str]
    content: bytes


def plain_requests(app: FastAPI, text: str | None = None) -> Iterator[PlainRequest]:
    """Yield a request for each operation, with the first of all that its schemas allow.

    What it names does not exist. A body that isn't JSON or a form is three bytes. `text`, where
    given, stands in every field of a JSON body that is any text.
    """
    document = {**app.openapi(), _TEXT: text}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            if method in _METHODS:
                yield _request(document, path, method, operation)


def _request(
    document: Mapping[str, Any], path: str, method: str, operation: Mapping[str, Any]
) -> PlainRequest:
    given: dict[str, dict[str, str]] = {"path": {}, "query": {}, "header": {}}
    for parameter in operation.get("parameters", ()):
        if parameter.get("required") and parameter["in"] in given:
            value = _first({**document, _TEXT: None}, parameter["schema"])
            given[parameter["in"]][parameter["name"]] = str(value)
    filled = re.sub(r"\{([^}]+)\}", lambda match: given["path"].get(match[1], _ID), path)
    headers, content = given["header"], b""
    kinds = operation.get("requestBody", {}).get("content", {})
    if "application/json" in kinds:
        headers["content-type"] = "application/json"
        content = json.dumps(_first(document, kinds["application/json"]["schema"])).encode()
    elif kinds:
        headers["content-type"] = next(iter(kinds))
        content = b"abc"
    name = f"{method.upper()} {path}"
    return PlainRequest(name, method.upper(), filled, given["query"], headers, content)


def _first(document: Mapping[str, Any], schema: Mapping[str, Any]) -> Any:  # noqa: ANN401, C901, PLR0911 - any JSON; one answer for each kind of schema
    if "$ref" in schema:
        return _first(document, document["components"]["schemas"][schema["$ref"].split("/")[-1]])
    for several in ("anyOf", "oneOf", "allOf"):
        if several in schema:
            return _first(document, schema[several][0])
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return schema["enum"][0]
    match schema.get("type"):
        case "object":
            known = schema.get("properties", {})
            return {name: _first(document, known[name]) for name in schema.get("required", ())}
        case "array":
            if "prefixItems" in schema:
                return [_first(document, each) for each in schema["prefixItems"]]
            return [_first(document, schema.get("items", {}))] * schema.get("minItems", 1)
        case "integer" | "number":
            return max(1, schema.get("minimum", 1))
        case "boolean":
            return True
        case "string":
            if document[_TEXT] is not None and "format" not in schema:
                return document[_TEXT]
            text = schema.get("examples", [_TEXTS.get(schema.get("format", ""), "abc")])[0]
            return str(text).ljust(schema.get("minLength", 0), "a")
    return {}
