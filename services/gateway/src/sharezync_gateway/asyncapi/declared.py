"""What a service declares about sockets in its OpenAPI document (`x-realtime`), read."""

from collections.abc import Mapping
from typing import Final

import msgspec
import structlog

from sharezync_gateway.asyncapi.schemas import Schema, draft_7
from sharezync_gateway.openapi.merge import Document

log = structlog.get_logger()

_KEY: Final = "x-realtime"


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
