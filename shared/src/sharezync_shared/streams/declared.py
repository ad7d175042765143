"""What a service says on sockets, declared: its events, its signals, the commands it answers.

OpenAPI has no place for it, so that a service's document carries it as `x-realtime`. The gateway
makes one AsyncAPI document of all of them; tests hold every frame against it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from types import UnionType
from typing import Any, Final, Literal

from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode, JsonSchemaValue

StreamKind = Literal["channel", "inbox", "transfers", "account"]
Model = type[BaseModel]
Shape = Model | UnionType
"""A model, or several of which it is one."""

KEY: Final = "x-realtime"
"""Where it stands in a service's OpenAPI document."""


@dataclass(frozen=True, slots=True)
class StreamEvent:
    """An event, or with `signal` a signal, of streams of one kind."""

    type: str
    stream: StreamKind
    data: Shape
    summary: str
    signal: bool = False


@dataclass(frozen=True, slots=True)
class SocketCommand:
    """A command that comes in on sockets: what it says beside `type` and `id`, and its answer."""

    type: str
    request: Model
    reply: Model
    summary: str


@dataclass(frozen=True, slots=True)
class Realtime:
    """Everything that one service has to say on sockets."""

    events: Sequence[StreamEvent] = ()
    commands: Sequence[SocketCommand] = ()

    def document(self) -> dict[str, Any]:
        """Return it as JSON: `events`, `commands`, and the `schemas` that they refer to.

        JSON Schema 2020-12. What is sent is described exactly: every member is there, and no other.
        """
        shapes: list[tuple[str, JsonSchemaMode, TypeAdapter[Any]]] = []
        for number, event in enumerate(self.events):
            shapes.append((f"event {number}", "serialization", _adapter(event.data)))
        for number, command in enumerate(self.commands):
            shapes.append((f"request {number}", "validation", _adapter(command.request)))
            shapes.append((f"reply {number}", "serialization", _adapter(command.reply)))
        schemas, definitions = TypeAdapter.json_schemas(
            shapes, ref_template="#/schemas/{model}", schema_generator=_Exactly
        )
        by_name = {name: schema for (name, _), schema in schemas.items()}
        return {
            "events": [
                {
                    "type": event.type,
                    "stream": event.stream,
                    "summary": event.summary,
                    "signal": event.signal,
                    "data": by_name[f"event {number}"],
                }
                for number, event in enumerate(self.events)
            ],
            "commands": [
                {
                    "type": command.type,
                    "summary": command.summary,
                    "request": by_name[f"request {number}"],
                    "reply": by_name[f"reply {number}"],
                }
                for number, command in enumerate(self.commands)
            ],
            "schemas": definitions.get("$defs", {}),
        }


def _adapter(shape: Any) -> TypeAdapter[Any]:  # noqa: ANN401 - what a Shape is, has no type
    return TypeAdapter(shape)


class _Exactly(GenerateJsonSchema):
    """What is sent has all its members, those with a default too, and no others.

    What is received is described as it is accepted.
    """

    def field_is_required(self, field: Any, total: bool) -> bool:  # noqa: ANN401, FBT001 - pydantic's signature
        return self.mode == "serialization" or super().field_is_required(field, total)

    def model_schema(self, schema: Any) -> JsonSchemaValue:  # noqa: ANN401 - pydantic's signature
        made = super().model_schema(schema)
        if self.mode == "serialization" and "properties" in made:
            made.setdefault("additionalProperties", False)
        return made
