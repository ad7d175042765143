"""Every message that goes over a socket, by its name in the document."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from sharezync_gateway.asyncapi.frames import CHUNK_LAYOUT, CLIENT, SERVER, FrameDoc
from sharezync_gateway.asyncapi.schemas import REF, Declared, DeclaredEvent, Schema, accepted
from sharezync_gateway.realtime.protocol import FrameId

_FRAME_ID: Final[Schema] = {
    **msgspec.json.schema(FrameId),
    "description": "Chosen by the client; the response has the same",
}
_WINDOW: Final[Schema] = {
    "anyOf": [{"type": "integer", "minimum": 0}, {"type": "null"}],
    "description": "Credit in bytes that the recipient grants",
}
_ENCODING: Final[Schema] = {
    "enum": ["binary", "json"],
    "default": "binary",
    "description": "How chunks come to the recipient: as binary frames, or as `file_chunk`",
}
_TRACEPARENT: Final[Schema] = {
    "type": "string",
    "description": "W3C trace context of the request or command that caused it, which a client may "
    "have sent; on a command, the client's own. A malformed one is ignored",
}
_UUID: Final = "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageDoc:
    """A message, and where it belongs."""

    document: dict[str, Any]
    by_client: bool = False
    """Whether clients send it; of all but chunks the gateway sends only the others."""
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
    }
    schemas = {name: schema for each in declared.values() for name, schema in each.schemas.items()}
    messages = _own()
    for kind, frame in CLIENT.items():
        if frame.body is not None:
            reply = {"$ref": f"{REF}gateway.{frame.reply.__name__}"} if frame.reply else None
            body = accepted(frame.body)
            messages |= _command(kind, frame, frame.summary, body, reply, "session")
        elif kind in commands:
            service, command = commands[kind]
            body = schemas.get(command.request.get("$ref", "").removeprefix(REF), command.request)
            messages |= _command(kind, frame, command.summary, body, command.reply, service)
    for service, each in declared.items():
        for event in each.events:
            word = "signal" if event.signal else "event"
            messages[f"{word}.{event.stream}.{event.type}"] = _event(event, service)
    return messages


def _own() -> dict[str, MessageDoc]:
    own = {
        f"server.{name}": MessageDoc(
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
        if frame.body is not None
    }
    chunk: dict[str, Any] = {
        "name": "chunk",
        "title": "A chunk of a file",
        "summary": "A binary frame in either direction, with the header described in `x-layout`",
        "contentType": "application/octet-stream",
        "payload": {"type": "string", "format": "binary"},
        "tags": [{"name": "transfer"}],
        "x-layout": CHUNK_LAYOUT,
    }
    answers = ("server.chunk_ack", "server.chunk_error", "server.error")
    own["chunk"] = MessageDoc(document=chunk, by_client=True, transfer=True, answers=answers)
    return own


def _command(
    kind: str, frame: FrameDoc, summary: str, body: Schema, reply: Schema | None, service: str
) -> dict[str, MessageDoc]:
    """Return the message of a client and, if it has one, its reply with this `data`."""
    payload = {
        "type": "object",
        "required": ["type", *body.get("required", ())],
        "properties": {
            "type": {"const": kind},
            "id": _FRAME_ID,
            "traceparent": _TRACEPARENT,
            **body["properties"],
            **({"window": _WINDOW, "encoding": _ENCODING} if frame.window else {}),
        },
    }
    tag = "transfer" if frame.transfer else service
    replies = [f"reply.{kind}"] if reply is not None else []
    messages = {
        f"client.{kind}": MessageDoc(
            document=_document(kind, summary, payload, tag),
            by_client=True,
            transfer=frame.transfer,
            answers=(*replies, *(f"server.{name}" for name in frame.answers), "server.error"),
        )
    }
    if reply is not None:
        exactly = _exactly({"type": {"const": "reply"}, "id": _FRAME_ID, "data": reply})
        messages[f"reply.{kind}"] = MessageDoc(
            document={
                **_document("reply", f"Response to `{kind}`, with its `id`", exactly, service),
                "correlationId": {"location": "$message.payload#/id"},
            },
            transfer=frame.transfer,
            is_answer=True,
        )
    return messages


def _event(event: DeclaredEvent, service: str) -> MessageDoc:
    place = {"epoch": {"type": "string"}, "seq": {"type": "integer", "minimum": 1}}
    payload = _exactly(
        {
            "type": {"const": event.type},
            "stream": {"type": "string", "pattern": f"^{event.stream}:{_UUID}$"},
            **({} if event.signal else place),
            "at": {"type": "string", "format": "date-time"},
            "data": event.data,
        }
    )
    if not event.signal:
        payload["properties"]["traceparent"] = _TRACEPARENT
    document = _document(event.type, event.summary, payload, service)
    return MessageDoc(document=document, stream=event.stream)


def _exactly(properties: Schema) -> Schema:
    return {
        "type": "object",
        "required": list(properties),
        "properties": properties,
        "additionalProperties": False,
    }


def _document(name: str, summary: str, payload: Schema, tag: str) -> dict[str, Any]:
    return {"name": name, "summary": summary, "payload": payload, "tags": [{"name": tag}]}
