"""A socket as an AsyncAPI channel, and what is done on it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from sharezync_gateway.asyncapi.closing import close_codes
from sharezync_gateway.asyncapi.messages import MessageDoc
from sharezync_gateway.asyncapi.preamble import GATEWAY
from sharezync_shared.sizes import MAX_CHUNK_BYTES, MAX_TEXT_FRAME_BYTES

Messages = Mapping[str, MessageDoc]
_GROUPS: Final = {
    "channel": "Events in channels of the user",
    "inbox": "Private events about channels, for devices of the user only",
    "transfers": "Events of transfers of the user",
    "account": "Events of the account",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SocketDoc:
    """One of the addresses."""

    id: str
    address: str
    title: str
    description: str
    parameter: tuple[str, str]
    """Name and description of what stands in the address."""
    streams: tuple[str, ...]
    transfers: bool

    def carries(self, message: MessageDoc) -> bool:
        """Whether a message may go over this socket."""
        if message.stream is not None:
            return message.stream in self.streams
        return self.transfers or not message.transfer


def channel(socket: SocketDoc, messages: Messages) -> dict[str, Any]:
    """Return the channel, with its limits and the codes that it is closed with."""
    name, description = socket.parameter
    return {
        "address": socket.address,
        "title": socket.title,
        "description": socket.description,
        "servers": [{"$ref": f"#/servers/{GATEWAY}"}],
        "parameters": {name: {"description": description}},
        "messages": {each: {"$ref": f"#/components/messages/{each}"} for each in messages},
        "bindings": {"ws": {"method": "GET", "bindingVersion": "0.1.0"}},
        "x-limits": {
            "text_bytes": MAX_TEXT_FRAME_BYTES,
            "chunk_bytes": MAX_CHUNK_BYTES,
            "description": "Every text frame but `file_chunk`; a chunk in either form",
        },
        "x-close-codes": close_codes(),
    }


def operations(socket: SocketDoc, messages: Messages) -> dict[str, Any]:
    """Return one operation for each message of clients, and those that bring them what is new."""
    made: dict[str, Any] = {}
    for name, message in messages.items():
        if message.by in {"client", "both"}:
            made[f"{socket.id}.receive.{name}"] = _receive(socket, name, message, messages)
    own = [
        name
        for name, each in messages.items()
        if each.by == "server" and each.stream is None and not each.is_answer
    ]
    made[f"{socket.id}.send.session"] = _send(socket, "State of the connection", own)
    for stream in socket.streams:
        names = [name for name, each in messages.items() if each.stream == stream]
        if names:
            made[f"{socket.id}.send.{stream}"] = _send(socket, _GROUPS[stream], names)
    if "chunk" in messages:
        made[f"{socket.id}.send.chunk"] = _send(
            socket, "Chunks for recipients, as soon as they are stored", ["chunk"]
        )
    return made


def _receive(
    socket: SocketDoc, name: str, message: MessageDoc, messages: Messages
) -> dict[str, Any]:
    answers = [answer for answer in message.answers if answer in messages]
    return {
        "action": "receive",
        "channel": {"$ref": f"#/channels/{socket.id}"},
        "summary": message.document["summary"],
        "tags": message.document["tags"],
        "messages": [_of(socket, name)],
        "reply": {
            "channel": {"$ref": f"#/channels/{socket.id}"},
            "messages": [_of(socket, answer) for answer in answers],
        },
    }


def _send(socket: SocketDoc, summary: str, names: list[str]) -> dict[str, Any]:
    return {
        "action": "send",
        "channel": {"$ref": f"#/channels/{socket.id}"},
        "summary": summary,
        "messages": [_of(socket, name) for name in names],
    }


def _of(socket: SocketDoc, name: str) -> dict[str, str]:
    return {"$ref": f"#/channels/{socket.id}/messages/{name}"}
