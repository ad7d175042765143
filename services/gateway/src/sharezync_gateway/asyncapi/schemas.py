"""Schemas as AsyncAPI 3.0 has them: JSON Schema draft 7."""

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import msgspec
import structlog

from sharezync_gateway.openapi.merge import Document

Schema = dict[str, Any]

REF: Final = "#/components/schemas/"

log = structlog.get_logger()

_KEY: Final = "x-realtime"


def draft_7(schema: Any, name_of: Callable[[str], str]) -> Any:  # noqa: ANN401 - any JSON
    """Return a schema of 2020-12 in the words of draft 7.

    `name_of` is given each reference, and returns the name in this document's components.
    """
    if isinstance(schema, list):
        return [draft_7(item, name_of) for item in schema]
    if not isinstance(schema, dict):
        return schema
    said = {
        key: REF + name_of(value) if key == "$ref" else draft_7(value, name_of)
        for key, value in schema.items()
    }
    if isinstance(said.get("prefixItems"), list):
        said["items"] = said.pop("prefixItems")
        said["additionalItems"] = False
    return said


def accepted(struct: type[msgspec.Struct]) -> Schema:
    """Return the schema of what is read into `struct`: fields that it doesn't know are ignored."""
    return _schemas([struct])[struct.__name__]


def sent(structs: Iterable[type[msgspec.Struct]]) -> dict[str, Schema]:
    """Return the schemas of what these become on the way out, by name: exactly their members."""
    by_name = {struct.__name__: struct for struct in structs}
    schemas = _schemas(list(by_name.values()))
    for name, schema in schemas.items():
        struct = by_name[name]
        schema["additionalProperties"] = False
        if not struct.__struct_config__.omit_defaults:
            schema["required"] = list(schema["properties"])
        if struct.__struct_config__.tag is not None:
            schema["properties"]["type"] = {"const": struct.__struct_config__.tag}
    return schemas


def _schemas(structs: list[type[msgspec.Struct]]) -> dict[str, Schema]:
    _, schemas = msgspec.json.schema_components(structs, ref_template="{name}")
    for schema in schemas.values():
        schema["description"] = inspect.cleandoc(schema.get("description", ""))
    return {name: draft_7(schema, "gateway.{}".format) for name, schema in schemas.items()}


class DeclaredEvent(msgspec.Struct):
    """An event, or a signal, of the streams of one kind."""

    type: str
    stream: str
    summary: str
    signal: bool
    data: Schema


class DeclaredCommand(msgspec.Struct):
    """A command: what it says beside `type` and `id`, and the `data` of its reply."""

    type: str
    summary: str
    request: Schema
    reply: Schema


class Declared(msgspec.Struct):
    """All that one service declares; schemas refer to those of the composed document."""

    events: list[DeclaredEvent] = []
    commands: list[DeclaredCommand] = []
    schemas: dict[str, Schema] = {}


def read_all(documents: Mapping[str, Document]) -> dict[str, Declared]:
    """Return what each service declares; one whose declaration can't be read is left out."""
    found: dict[str, Declared] = {}
    for service, document in documents.items():

        def name_of(reference: str, service: str = service) -> str:
            return f"{service}.{reference.rpartition('/')[2].lstrip('_')}"

        try:
            declared = msgspec.convert(draft_7(document.get(_KEY, {}), name_of), Declared)
        except msgspec.ValidationError as error:
            log.warning("realtime_declaration_invalid", upstream=service, error=str(error))
            continue
        declared.schemas = {name_of(name): schema for name, schema in declared.schemas.items()}
        found[service] = declared
    return found
