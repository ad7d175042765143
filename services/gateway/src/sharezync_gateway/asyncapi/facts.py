"""The facts on the broker, from their contracts: CloudEvents in AMQP's binary mode."""

import inspect
from collections.abc import Iterator
from typing import Any, Final

from sharezync_gateway.asyncapi.schemas import Schema, sent
from sharezync_shared.events import contracts as declared
from sharezync_shared.events.amqp.topology import QueueNames
from sharezync_shared.events.contracts import Event

SERVER: Final = "broker"
_BINDING: Final = {"bindingVersion": "0.3.0"}
_TAGS: Final = [{"name": "facts"}]


def contracts() -> Iterator[type[Event]]:
    """Yield every fact that services publish."""
    for each in vars(declared).values():
        if isinstance(each, type) and issubclass(each, Event) and each is not Event:
            yield each


def channel(fact: type[Event]) -> dict[str, Any]:
    """Return the channel of a fact: its routing key on the exchange of all facts."""
    exchange = {
        "name": QueueNames().events,
        "type": "topic",
        "durable": True,
        "autoDelete": False,
        "vhost": "/",
    }
    name = f"fact.{fact.type}"
    return {
        "address": fact.type,
        "title": fact.type,
        "description": inspect.getdoc(fact),
        "servers": [{"$ref": f"#/servers/{SERVER}"}],
        "messages": {name: {"$ref": f"#/components/messages/{name}"}},
        "bindings": {"amqp": {"is": "routingKey", "exchange": exchange, **_BINDING}},
    }


def operation(fact: type[Event]) -> dict[str, Any]:
    """Return what its service does with it, once its transaction is committed, at least once."""
    name = f"fact.{fact.type}"
    return {
        "action": "send",
        "channel": {"$ref": f"#/channels/{name}"},
        "summary": f"Published by {fact.source.strip('/')}: {inspect.getdoc(fact)}",
        "tags": _TAGS,
        "messages": [{"$ref": f"#/channels/{name}/messages/{name}"}],
        "bindings": {"amqp": {"deliveryMode": 2, **_BINDING}},
    }


def message(fact: type[Event]) -> dict[str, Any]:
    """Return the message: attributes in its headers, the fact itself as the body."""
    attributes: dict[str, Schema] = {
        "specversion": {"const": "1.0"},
        "id": {
            "type": "string",
            "format": "uuid",
            "description": "The same for each delivery; consumers ignore duplicates by it",
        },
        "source": {"const": fact.source},
        "type": {"const": fact.type},
        "subject": {"type": "string", "description": f"`{fact.about}` of the event"},
        "time": {"type": "string", "format": "date-time"},
    }
    required = {f"cloudEvents:{name}": schema for name, schema in attributes.items()}
    return {
        "name": fact.type,
        "title": fact.__name__,
        "summary": inspect.getdoc(fact),
        "contentType": "application/json",
        "headers": {
            "type": "object",
            "required": list(required),
            "properties": {
                **required,
                "traceparent": {
                    "type": "string",
                    "description": "W3C trace context of the request that caused the event",
                },
                "x-attempt": {
                    "type": "integer",
                    "minimum": 2,
                    "description": "Number of the attempt, from the second on",
                },
            },
        },
        "payload": sent([fact])[fact.__name__],
        "tags": _TAGS,
    }
