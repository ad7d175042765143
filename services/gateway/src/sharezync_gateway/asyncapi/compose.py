"""One AsyncAPI 3 document of the sockets and of the facts.

The application that it describes is ShareZync: it `receive`s what clients send, and `send`s what
they get. Source: AsyncAPI 3.0.0; bindings: ws 0.1.0, amqp 0.3.0.
"""

import asyncio
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from sharezync_gateway.asyncapi import facts, sockets
from sharezync_gateway.asyncapi.frames import CLIENT, PARTS, SERVER
from sharezync_gateway.asyncapi.messages import messages_of
from sharezync_gateway.asyncapi.schemas import read_all, sent
from sharezync_gateway.openapi.catalogue import Catalogue
from sharezync_gateway.openapi.merge import Document
from sharezync_gateway.realtime.protocol import SUBPROTOCOL
from sharezync_shared.events.amqp.topology import QueueNames

_DESCRIPTION: Final = f"""\
Each device has one WebSocket for chat, transfers and events of the account. Services exchange
events over RabbitMQ. The document describes the server: it `receive`s what clients send, and
`send`s what they receive.

**Connecting.** The subprotocol is `{SUBPROTOCOL}`. The server sends `hello` first, and `ready` once
the token is accepted, with the position of each stream. **Events** have a `seq` without gaps in
their stream: ignore those up to the last one seen, `resume` after a disconnect, `replay` after a
gap. **Signals** have no `seq`, aren't stored, and may be lost. **Commands** may have an `id`; their
`reply` or `error` has the same. Error codes are those of the HTTP API.

Frames from the server are described exactly for this version. Later versions add members and types:
clients must ignore those that they don't know, as the server does.
"""
_TAGS: Final = {
    "session": "Authentication, resumption and state of the connection",
    "chat": "Channels and messages",
    "transfer": "Transfers of files",
    "auth": "The account of the user",
    "facts": "Events between services, on RabbitMQ",
}
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
    "broker": {"type": "userPassword", "description": "Internal only: `AMQP_URL`"},
}


def compose(documents: Mapping[str, Document], *, version: str, missing: list[str]) -> Document:
    """Return the document, of what the services' OpenAPI documents declare about sockets.

    `missing` names services that none was had of; together with those whose declaration can't be
    read they are named in `info.x-unavailable`.
    """
    declared = read_all(documents)
    missing = [*missing, *(name for name in documents if name not in declared)]
    messages = messages_of(declared)
    replies = [frame.reply for frame in CLIENT.values() if frame.reply is not None]
    own = sent([*(frame.body for frame in SERVER.values() if frame.body), *replies, *PARTS])
    schemas = {f"gateway.{name}": schema for name, schema in own.items()}
    for each in declared.values():
        schemas |= each.schemas
    document: Document = {
        "asyncapi": "3.0.0",
        "info": {
            "title": "ShareZync",
            "version": version,
            "description": _DESCRIPTION,
            "tags": [{"name": name, "description": text} for name, text in _TAGS.items()],
            **({"x-unavailable": missing} if missing else {}),
        },
        "defaultContentType": "application/json",
        "servers": _servers(),
        "channels": {},
        "operations": {},
        "components": {
            "messages": {name: each.document for name, each in messages.items()},
            "schemas": schemas,
            "securitySchemes": _SECURITY,
        },
    }
    for socket in sockets.SOCKETS:
        carried = {name: each for name, each in messages.items() if socket.carries(each)}
        document["channels"][socket.id] = sockets.channel(socket, carried)
        document["operations"] |= sockets.operations(socket, carried)
    for fact in facts.contracts():
        name = f"fact.{fact.type}"
        document["channels"][name] = facts.channel(fact)
        document["operations"][f"publish.{fact.type}"] = facts.operation(fact)
        document["components"]["messages"][name] = facts.message(fact)
    return document


def _servers() -> dict[str, Any]:
    names = QueueNames()
    gateway = {
        "host": "{host}",
        "protocol": "{protocol}",
        "title": "The gateway",
        "description": "Any replica serves any client; a socket may be resumed on another.",
        "variables": {
            "host": {"default": "localhost:8000", "description": "Address of the gateway"},
            "protocol": {"enum": ["ws", "wss"], "default": "ws"},
        },
        "security": [_scheme(name) for name in _SECURITY if name != "broker"],
    }
    broker = {
        "host": "{host}",
        "protocol": "amqp",
        "protocolVersion": "0.9.1",
        "title": "RabbitMQ",
        "description": "Internal; not for clients. Each consuming service "
        f"has one quorum queue (`chat.events`), bound to `{names.events}` by the types it "
        "consumes, with queues for retries (`chat.events.retry.1s`, …) and dead letters "
        f"(`chat.events.dlq`). Events without a consumer are kept in `{names.unrouted}`. "
        "Delivery is at least once, in no guaranteed order.",
        "variables": {"host": {"default": "localhost:5672", "description": "`AMQP_URL`"}},
        "security": [_scheme("broker")],
    }
    return {sockets.SERVER: gateway, facts.SERVER: broker}


def _scheme(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/securitySchemes/{name}"}


class AsyncApi:
    """The document of what `catalogue` has, made again when a service's document has changed."""

    def __init__(self, catalogue: Catalogue, *, version: str) -> None:
        self._catalogue = catalogue
        self._version = version
        self._made: tuple[int, bytes] | None = None

    async def document(self) -> bytes:
        """Return the document as JSON.

        What services declare that were never reached is missing in it; they are named in
        `info.x-unavailable`.
        """
        edition, documents = await self._catalogue.documents()
        if self._made is None or self._made[0] != edition:
            composed = await asyncio.to_thread(
                compose, documents, version=self._version, missing=self._catalogue.missing
            )
            self._made = (edition, msgspec.json.encode(composed))
        return self._made[1]
