"""One AsyncAPI 3 document of the socket and of the facts.

The application that it describes is ShareZync: it `receive`s what clients send, and `send`s what
they get. Source: AsyncAPI 3.0.0; bindings: ws 0.1.0, amqp 0.3.0.
"""

from collections.abc import Mapping
from typing import Any, Final

from sharezync_gateway.asyncapi import facts
from sharezync_gateway.asyncapi.declared import Declared, read_all
from sharezync_gateway.asyncapi.frames import CLIENT, PARTS, SERVER
from sharezync_gateway.asyncapi.messages import messages_of
from sharezync_gateway.asyncapi.preamble import preamble, servers
from sharezync_gateway.asyncapi.schemas import Schema, sent
from sharezync_gateway.asyncapi.sockets import SocketDoc, channel, operations
from sharezync_gateway.openapi.merge import Document

_SOCKETS: Final = (
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
        streams=("channel", "inbox", "transfers", "account"),
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


def compose(documents: Mapping[str, Document], *, version: str, missing: list[str]) -> Document:
    """Return the document, of what the services' OpenAPI documents declare about sockets.

    `missing` names services that none was had of; together with those whose declaration can't be
    read they are named in `info.x-unavailable`.
    """
    declared = read_all(documents)
    missing = [*missing, *(name for name in documents if name not in declared)]
    messages = messages_of(declared)
    document: Document = {
        "asyncapi": "3.0.0",
        **preamble(version, missing),
        "servers": servers(),
        "channels": {},
        "operations": {},
        "components": {
            "messages": {name: each.document for name, each in messages.items()},
            "schemas": _schemas(declared),
            "securitySchemes": _SECURITY,
        },
    }
    for socket in _SOCKETS:
        carried = {name: each for name, each in messages.items() if socket.carries(each)}
        document["channels"][socket.id] = channel(socket, carried)
        document["operations"] |= operations(socket, carried)
    for fact in facts.contracts():
        name = f"fact.{fact.type}"
        document["channels"][name] = facts.channel(fact)
        document["operations"][f"publish.{fact.type}"] = facts.operation(fact)
        document["components"]["messages"][name] = facts.message(fact)
    return document


def _schemas(declared: Mapping[str, Declared]) -> dict[str, Schema]:
    replies = [frame.reply for frame in CLIENT.values() if frame.reply is not None]
    own = sent([*(frame.body for frame in SERVER.values()), *replies, *PARTS])
    schemas = {f"gateway.{name}": schema for name, schema in own.items()}
    for each in declared.values():
        schemas |= each.schemas
    return schemas


_SECURITY: Final[dict[str, Any]] = {
    "header": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "Access token in `Authorization`, for native clients",
    },
    "subprotocol": {
        "type": "httpApiKey",
        "name": "Sec-WebSocket-Protocol",
        "in": "header",
        "description": "`sharezync.v1, bearer.<access token>`, for browsers; only `sharezync.v1` "
        "is echoed",
    },
    "firstFrame": {
        "type": "apiKey",
        "in": "password",
        "description": "Token in the first frame, `authenticate`, within 5 s",
    },
    "query": {
        "type": "httpApiKey",
        "name": "token",
        "in": "query",
        "description": "Only if the operator allows it (`WS_ALLOW_QUERY_TOKEN`), as it ends up in "
        "logs",
    },
    "broker": {
        "type": "userPassword",
        "description": "Internal only: `AMQP_URL`",
    },
}
