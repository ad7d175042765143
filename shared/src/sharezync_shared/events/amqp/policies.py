"""Limits of queues, as policies of RabbitMQ.

Arguments of a queue are there for good: another limit would mean to delete it with all that is in
it. A policy is changed while the queue is used, by whoever runs the broker. What a queue is for
(where its dead letters go, how long a failed event rests, when one is given up) stays an argument,
and holds where nobody has set policies: `topology`.
"""

import re
from typing import Any, Final

import msgspec

from sharezync_shared.events.amqp.topology import DEFAULT_PREFIX


class QueuePolicy(msgspec.Struct, frozen=True):
    """As RabbitMQ's HTTP API takes it, but for the name."""

    name: str
    pattern: str
    definition: dict[str, Any]

    def document(self) -> dict[str, Any]:
        """Return what is sent to the broker."""
        return {
            "pattern": self.pattern,
            "definition": self.definition,
            "apply-to": "queues",
            "priority": 0,
        }


_PREFIX: Final = re.escape(DEFAULT_PREFIX)

POLICIES: Final = (
    QueuePolicy(
        "sharezync-frames",
        rf"^{_PREFIX}\.frames\.",
        # A gateway that is so far behind asks the logs of streams instead.
        {"max-length": 10_000, "max-length-bytes": 64 * 1024 * 1024, "overflow": "drop-head"},
    ),
    QueuePolicy(
        "sharezync-unrouted",
        rf"^{_PREFIX}\.unrouted$",
        # Kept to be looked at; the oldest go first.
        {"max-length": 10_000, "overflow": "drop-head"},
    ),
)
