"""A socket as an AsyncAPI channel, and what is done on it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from sharezync_gateway.asyncapi.messages import MessageDoc
from sharezync_gateway.realtime.protocol import CloseCode
from sharezync_shared.sizes import MAX_CHUNK_BYTES, MAX_TEXT_FRAME_BYTES

SERVER: Final = "gateway"
_STREAMS: Final = {
    "channel": "Events in channels of the user",
    "inbox": "Private events about channels, for devices of the user only",
    "transfers": "Events of transfers of the user",
    "account": "Events of the account",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SocketDoc:
    """One of the addresses; `parameter` is the name and description of what stands in it."""

    id: str
    address: str
    title: str
    description: str
    parameter: tuple[str, str]
    streams: tuple[str, ...]
    transfers: bool

    def carries(self, message: MessageDoc) -> bool:
        """Whether a message may go over this socket."""
        if message.stream is not None:
            return message.stream in self.streams
        return self.transfers or not message.transfer


SOCKETS: Final = (
    SocketDoc(
        id="device",
        address="/ws/{client_id}",
        title="WebSocket of a device",
        description="Chat, transfers and the account. One connection for each device.",
        parameter=(
            "client_id",
            (
                "Chosen by the client, unique for its user: letters, digits, `.`, `_`, `~`, `-`, "
                "at most 64 characters. An unknown one registers the device."
            ),
        ),
        streams=tuple(_STREAMS),
        transfers=True,
    ),
    SocketDoc(
        id="channel",
        address="/ws/channels/{channel_id}",
        title="WebSocket of a channel",
        description="The same protocol for simple clients: a single stream, and no transfers.",
        parameter=("channel_id", "Id of the channel, a UUID in lower case"),
        streams=("channel",),
        transfers=False,
    ),
)


def channel(socket: SocketDoc, messages: Iterable[str]) -> dict[str, Any]:
    """Return the channel, with its limits and the codes that it is closed with."""
    name, description = socket.parameter
    return {
        "address": socket.address,
        "title": socket.title,
        "description": socket.description,
        "servers": [{"$ref": f"#/servers/{SERVER}"}],
        "parameters": {name: {"description": description}},
        "messages": {each: {"$ref": f"#/components/messages/{each}"} for each in messages},
        "bindings": {"ws": {"method": "GET", "bindingVersion": "0.1.0"}},
        "x-limits": {
            "text_bytes": MAX_TEXT_FRAME_BYTES,
            "chunk_bytes": MAX_CHUNK_BYTES,
            "description": "Every text frame but `file_chunk`; a chunk in either form",
        },
        "x-close-codes": {
            str(int(code)): {
                "name": code.name.lower(),
                "meaning": code.meaning,
                "reconnect": 4000 <= code < 4500,
            }
            for code in sorted(CloseCode)
        },
    }


def operations(socket: SocketDoc, messages: Mapping[str, MessageDoc]) -> dict[str, Any]:
    """Return one operation for each message of clients, and those that bring them what is new."""

    def of_channel(names: Iterable[str]) -> list[dict[str, str]]:
        return [{"$ref": f"#/channels/{socket.id}/messages/{name}"} for name in names]

    this = {"$ref": f"#/channels/{socket.id}"}
    made: dict[str, Any] = {
        f"{socket.id}.receive.{name}": {
            "action": "receive",
            "channel": this,
            "summary": message.document["summary"],
            "tags": message.document["tags"],
            "messages": of_channel([name]),
            "reply": {
                "channel": this,
                "messages": of_channel(each for each in message.answers if each in messages),
            },
        }
        for name, message in messages.items()
        if message.by_client
    }
    pushed = {name: m for name, m in messages.items() if not m.by_client and not m.is_answer}
    groups = [
        ("session", "State of the connection", [n for n, m in pushed.items() if m.stream is None]),
        *(
            (stream, _STREAMS[stream], [n for n, m in pushed.items() if m.stream == stream])
            for stream in socket.streams
        ),
        ("chunk", "Chunks for recipients, as soon as they are stored", messages.keys() & {"chunk"}),
    ]
    for group, summary, names in groups:
        if names:
            made[f"{socket.id}.send.{group}"] = {
                "action": "send",
                "channel": this,
                "summary": summary,
                "messages": of_channel(names),
            }
    return made
