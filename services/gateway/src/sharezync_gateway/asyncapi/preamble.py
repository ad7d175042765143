"""What the document says before its first channel."""

from typing import Any, Final

from sharezync_gateway.asyncapi.facts import BROKER
from sharezync_gateway.realtime.protocol import SUBPROTOCOL
from sharezync_shared.events.amqp.topology import Names

GATEWAY: Final = "gateway"

_DESCRIPTION: Final = f"""\
One socket for each device carries chat, transfers and news of the account; facts go from service to
service over RabbitMQ. ShareZync is the application described here: what it `receive`s, clients
send; what it `send`s, they get.

**Beginning.** The subprotocol is `{SUBPROTOCOL}`. `hello` comes first, `ready` when the token is
accepted: it says from where each stream goes on. **Events** have a `seq` without a gap in their
stream; drop what is not above the last one seen, `resume` after a drop, `replay` after a gap.
**Signals** have none, are never stored, and may be lost. **Commands** may carry an `id` of the
client's; their `reply` or `error` has the same. Codes of errors are those of REST.

What is sent is described exactly, for this version. Later versions add members and types: clients
ignore those that they don't know, and so does ShareZync.
"""


def preamble(version: str, missing: list[str]) -> dict[str, Any]:
    """Return the first members of the document, but its version of AsyncAPI."""
    info: dict[str, Any] = {
        "title": "ShareZync",
        "version": version,
        "description": _DESCRIPTION,
        "tags": [
            {"name": "session", "description": "Getting in, catching up, and the end"},
            {"name": "chat", "description": "Channels and messages"},
            {"name": "transfer", "description": "Files from device to device"},
            {"name": "auth", "description": "One's account"},
            {"name": "facts", "description": "What services tell each other, on RabbitMQ"},
        ],
    }
    if missing:
        info["x-unavailable"] = missing
    return {"info": info, "defaultContentType": "application/json"}


def servers() -> dict[str, Any]:
    """Return where sockets and facts are served."""
    schemes = ("header", "subprotocol", "firstFrame", "query")
    names = Names()
    return {
        GATEWAY: {
            "host": "{host}",
            "protocol": "{protocol}",
            "title": "The gateway",
            "description": "Any replica serves any client; a socket may be resumed on another.",
            "variables": {
                "host": {"default": "localhost:8000", "description": "Where the gateway answers"},
                "protocol": {"enum": ["ws", "wss"], "default": "ws"},
            },
            "security": [_scheme(name) for name in schemes],
        },
        BROKER: {
            "host": "{host}",
            "protocol": "amqp",
            "protocolVersion": "0.9.1",
            "title": "RabbitMQ",
            "description": "Inside the installation; clients never see it. Each consuming service "
            f"has one quorum queue (`chat.events`), bound to `{names.events}` by the types it "
            "wants, with rests before another attempt (`chat.events.retry.1s`, …) and dead letters "
            f"(`chat.events.dlq`). What nobody consumes lies in `{names.unrouted}`. Delivery is at "
            "least once, in no promised order.",
            "variables": {"host": {"default": "localhost:5672", "description": "`AMQP_URL`"}},
            "security": [_scheme("broker")],
        },
    }


def _scheme(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/securitySchemes/{name}"}
