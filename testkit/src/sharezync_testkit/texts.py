"""Every text that comes in has a policy (`sharezync_shared.names.policies`)."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from sharezync_shared.names.policies import POLICY

_SPELT_OUT: Final = ("enum", "const", "pattern", "format", "contentMediaType")
"""A string with one of these is no free text: an id, a time, a digest, a word of a list, bytes."""
_OF_HTTP: Final = frozenset(
    {"range", "if-range", "if-match", "if-none-match", "if-modified-since", "if-unmodified-since"}
)
"""Header fields with a grammar in RFC 9110, which is all that is done with them."""


def without_policy(document: Mapping[str, Any]) -> list[str]:
    """Return where an OpenAPI document takes free text that no policy is named for.

    Walked are the parameters and bodies of all operations, and the data of all commands on sockets
    (`x-realtime`).
    """
    found: list[str] = []
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            where = f"{method.upper()} {path}"
            for parameter in operation.get("parameters", ()):
                if parameter["in"] == "header" and parameter["name"].lower() in _OF_HTTP:
                    continue
                name = f"{where} {parameter['in']} {parameter['name']}"
                found += _free(document, parameter["schema"], name, ())
            for media, content in operation.get("requestBody", {}).get("content", {}).items():
                found += _free(document, content.get("schema", {}), f"{where} {media}", ())
    realtime = document.get("x-realtime", {})
    for command in realtime.get("commands", ()):
        found += _free(realtime, command["request"], f"command {command['type']}", ())
    return found


def _free(
    document: Mapping[str, Any], schema: Mapping[str, Any], where: str, above: tuple[str, ...]
) -> Iterator[str]:
    if reference := schema.get("$ref"):
        if reference not in above:  # schemas may hold themselves
            yield from _free(document, _resolve(document, reference), where, (*above, reference))
        return
    if schema.get("type") == "string" and POLICY not in schema:
        if not any(word in schema for word in _SPELT_OUT):
            yield where
        return
    for name, inner in schema.get("properties", {}).items():
        yield from _free(document, inner, f"{where} .{name}", above)
    for key in ("items", "additionalProperties"):
        if isinstance(inner := schema.get(key), dict):
            yield from _free(document, inner, f"{where} []", above)
    for key in ("anyOf", "oneOf", "allOf", "prefixItems"):
        for inner in schema.get(key, ()):
            yield from _free(document, inner, where, above)


def _resolve(document: Mapping[str, Any], reference: str) -> Mapping[str, Any]:
    node: Any = document
    for part in reference.removeprefix("#/").split("/"):
        node = node[part.replace("~1", "/").replace("~0", "~")]
    return dict(node)
