"""Every message that goes over a socket, by its name in the document."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import msgspec

from sharezync_gateway.asyncapi.declared import Declared, DeclaredCommand, DeclaredEvent
from sharezync_gateway.asyncapi.frames import CHUNK_LAYOUT, CLIENT, SERVER, ClientFrame
from sharezync_gateway.asyncapi.schemas import REF, Schema, accepted
from sharezync_gateway.realtime.protocol import FrameId

By = Literal["client", "server", "both"]

_FRAME_ID: Final[Schema] = {
    **msgspec.json.schema(FrameId),
    "description": "Chosen by the client; the response has the same",
}
_WINDOW: Final[Schema] = {
    "anyOf": [{"type": "integer", "minimum": 0}, {"type": "null"}],
    "description": "Credit in bytes that the recipient grants",
}
_UUID: Final = "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageDoc:
    """A message, and where it belongs."""

    by: By
    document: dict[str, Any]
    stream: str | None = None
    """The kind of stream that it is an event or a signal of."""
    transfer: bool = False
    answers: tuple[str, ...] = ()
    """Names of the messages that may answer a client's."""
    is_answer: bool = False
    """Whether it is never sent but as an answer."""


def messages_of(declared: Mapping[str, Declared]) -> dict[str, MessageDoc]:
    """Return the gateway's own frames, and those of what the services declare."""
    commands = {
        command.type: (service, command)
        for service, each in declared.items()
        for command in each.commands
        if command.type in CLIENT
    }
    schemas = {name: schema for each in declared.values() for name, schema in each.schemas.items()}
    messages = dict(_own())
    for kind, frame in CLIENT.items():
        if frame.body is not None:
            messages[f"client.{kind}"] = _client(kind, frame, accepted(frame.body))
            if frame.reply is not None:
                data = {"$ref": f"{REF}gateway.{frame.reply.__name__}"}
                messages[f"reply.{kind}"] = _reply(kind, frame, data, "session")
        elif kind in commands:
            service, command = commands[kind]
            said = command.request
            said = schemas.get(said.get("$ref", "").removeprefix(REF), said)
            messages[f"client.{kind}"] = _client(kind, frame, said, command, service)
            messages[f"reply.{kind}"] = _reply(kind, frame, command.reply, service)
    for service, each in declared.items():
        for event in each.events:
            word = "signal" if event.signal else "event"
            messages[f"{word}.{event.stream}.{event.type}"] = _event(event, service)
    return messages


def _own() -> dict[str, MessageDoc]:
    chunk: dict[str, Any] = {
        "name": "chunk",
        "title": "A chunk of a file",
        "summary": "A binary frame in either direction, with the header described in `x-layout`",
        "contentType": "application/octet-stream",
        "payload": {"type": "string", "format": "binary"},
        "tags": [{"name": "transfer"}],
        "x-layout": CHUNK_LAYOUT,
    }
    own = {
        f"server.{name}": MessageDoc(
            by="server",
            document=_document(
                str(frame.body.__struct_config__.tag),
                frame.summary,
                {"$ref": f"{REF}gateway.{frame.body.__name__}"},
                "transfer" if frame.transfer else "session",
            ),
            transfer=frame.transfer,
            is_answer=name in {"resumed", "pong"},
        )
        for name, frame in SERVER.items()
    }
    own["chunk"] = MessageDoc(
        by="both",
        document=chunk,
        transfer=True,
        answers=("server.chunk_ack", "server.chunk_error", "server.error"),
    )
    return own


def _client(
    kind: str,
    frame: ClientFrame,
    body: Schema,
    command: DeclaredCommand | None = None,
    tag: str = "session",
) -> MessageDoc:
    properties: Schema = {"type": {"const": kind}, "id": _FRAME_ID, **body["properties"]}
    if frame.window:
        properties["window"] = _WINDOW
    payload = {
        "type": "object",
        "required": ["type", *body.get("required", ())],
        "properties": properties,
    }
    replies = [f"reply.{kind}"] if command or frame.reply else []
    answers = [*replies, *(f"server.{answer}" for answer in frame.answers)]
    return MessageDoc(
        by="client",
        document=_document(
            kind,
            command.summary if command else frame.summary,
            payload,
            "transfer" if frame.transfer else tag,
        ),
        transfer=frame.transfer,
        answers=(*answers, "server.error"),
    )


def _reply(kind: str, frame: ClientFrame, data: Schema, tag: str) -> MessageDoc:
    payload = _exactly({"type": {"const": "reply"}, "id": _FRAME_ID, "data": data})
    summary = f"Response to `{kind}`, with its `id`"
    document = {
        **_document("reply", summary, payload, tag),
        "correlationId": {"location": "$message.payload#/id"},
    }
    return MessageDoc(by="server", document=document, transfer=frame.transfer, is_answer=True)


def _event(event: DeclaredEvent, service: str) -> MessageDoc:
    stream = {"type": "string", "pattern": f"^{event.stream}:{_UUID}$"}
    at = {"type": "string", "format": "date-time"}
    place = {"epoch": {"type": "string"}, "seq": {"type": "integer", "minimum": 1}}
    payload = _exactly(
        {
            "type": {"const": event.type},
            "stream": stream,
            **({} if event.signal else place),
            "at": at,
            "data": event.data,
        }
    )
    document = _document(event.type, event.summary, payload, service)
    return MessageDoc(by="server", document=document, stream=event.stream)


def _exactly(properties: Schema) -> Schema:
    return {
        "type": "object",
        "required": list(properties),
        "properties": properties,
        "additionalProperties": False,
    }


def _document(name: str, summary: str, payload: Schema, tag: str) -> dict[str, Any]:
    return {"name": name, "summary": summary, "payload": payload, "tags": [{"name": tag}]}
