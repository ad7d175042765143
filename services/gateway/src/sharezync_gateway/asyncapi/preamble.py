"""What the document says before its first channel."""

from typing import Any, Final

from sharezync_gateway.asyncapi.facts import BROKER
from sharezync_gateway.realtime.protocol import SUBPROTOCOL
from sharezync_shared.events.amqp.topology import QueueNames

GATEWAY: Final = "gateway"

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


def preamble(version: str, missing: list[str]) -> dict[str, Any]:
    """Return the first members of the document, but its version of AsyncAPI."""
    info: dict[str, Any] = {
        "title": "ShareZync",
        "version": version,
        "description": _DESCRIPTION,
        "tags": [
            {
                "name": "session",
                "description": "Authentication, resumption and state of the connection",
            },
            {"name": "chat", "description": "Channels and messages"},
            {"name": "transfer", "description": "Transfers of files"},
            {"name": "auth", "description": "The account of the user"},
            {"name": "facts", "description": "Events between services, on RabbitMQ"},
        ],
    }
    if missing:
        info["x-unavailable"] = missing
    return {"info": info, "defaultContentType": "application/json"}


def servers() -> dict[str, Any]:
    """Return where sockets and facts are served."""
    schemes = ("header", "subprotocol", "firstFrame", "query")
    names = QueueNames()
    return {
        GATEWAY: {
            "host": "{host}",
            "protocol": "{protocol}",
            "title": "The gateway",
            "description": "Any replica serves any client; a socket may be resumed on another.",
            "variables": {
                "host": {"default": "localhost:8000", "description": "Address of the gateway"},
                "protocol": {"enum": ["ws", "wss"], "default": "ws"},
            },
            "security": [_scheme(name) for name in schemes],
        },
        BROKER: {
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
        },
    }


def _scheme(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/securitySchemes/{name}"}
