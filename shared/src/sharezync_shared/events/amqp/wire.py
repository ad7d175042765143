"""Envelopes as AMQP messages: CloudEvents attributes in headers, the JSON as the body.

Source: CloudEvents AMQP Protocol Binding 1.0.2, binary content mode.
"""

from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from aio_pika import DeliveryMode, Message
from aio_pika.abc import AbstractIncomingMessage

from sharezync_shared.events.attempts import Dead
from sharezync_shared.events.bus import DeadLetter, Envelope
from sharezync_shared.tracing.context import TRACEPARENT, TRACESTATE

_ATTRIBUTE: Final = "cloudEvents:"
_ATTEMPT: Final = "x-attempt"
_REASON: Final = "x-reason"
_ERROR: Final = "x-error"
_DEAD_AT: Final = "x-dead-at"


def pack(envelope: Envelope, *, attempt: int = 1) -> Message:
    """Return the message of an envelope whose next attempt has this number."""
    headers: dict[str, Any] = {
        f"{_ATTRIBUTE}specversion": "1.0",
        f"{_ATTRIBUTE}id": str(envelope.id),
        f"{_ATTRIBUTE}source": envelope.source,
        f"{_ATTRIBUTE}type": envelope.type,
        f"{_ATTRIBUTE}subject": envelope.subject,
        f"{_ATTRIBUTE}time": envelope.time.astimezone(UTC).isoformat().replace("+00:00", "Z"),
    }
    if envelope.traceparent:
        headers[TRACEPARENT] = envelope.traceparent
        if envelope.tracestate:
            headers[TRACESTATE] = envelope.tracestate
    if attempt > 1:
        headers[_ATTEMPT] = attempt
    return _persistent(envelope.data, headers)


def unpack(message: AbstractIncomingMessage) -> Envelope:
    """Return the envelope in a message.

    Raises ValueError where an attribute is missing or unreadable. `data` is not looked into.
    """
    headers = message.headers

    def attribute(name: str) -> str:
        value = headers.get(_ATTRIBUTE + name)
        if not isinstance(value, str) or not value:
            raise ValueError(f"no CloudEvents attribute {name}")
        return value

    time = datetime.fromisoformat(attribute("time"))
    if time.tzinfo is None:
        raise ValueError("the time names no zone")
    traceparent, tracestate = headers.get(TRACEPARENT), headers.get(TRACESTATE)
    return Envelope(
        id=UUID(attribute("id")),
        source=attribute("source"),
        type=attribute("type"),
        subject=str(headers.get(f"{_ATTRIBUTE}subject") or ""),
        time=time,
        data=message.body,
        traceparent=traceparent if isinstance(traceparent, str) else None,
        tracestate=tracestate if isinstance(tracestate, str) else "",
    )


def attempt_of(message: AbstractIncomingMessage) -> int:
    """Return the number of the attempt that this delivery is for, from 1."""
    value = message.headers.get(_ATTEMPT)
    return max(1, value) if isinstance(value, int) else 1


def bury(message: AbstractIncomingMessage, dead: Dead) -> Message:
    """Return the dead letter of a message, as it was, with the reason in its headers."""
    return _persistent(
        message.body,
        {
            **_own_headers(message),
            _ATTEMPT: attempt_of(message),
            _REASON: dead.reason,
            _ERROR: dead.error,
            _DEAD_AT: datetime.now(UTC).isoformat(),
        },
    )


def revive(message: AbstractIncomingMessage) -> Message:
    """Return the message that a dead letter was, as if new."""
    return _persistent(message.body, _own_headers(message))


def describe(message: AbstractIncomingMessage) -> DeadLetter:
    """Return what is known of a message among the dead letters; never raises."""
    try:
        envelope = unpack(message)
    except ValueError:
        envelope = None
    try:
        dead_at = datetime.fromisoformat(str(message.headers.get(_DEAD_AT)))
    except ValueError:
        dead_at = None
    return DeadLetter(
        id=envelope.id if envelope else None,
        type=envelope.type if envelope else "",
        subject=envelope.subject if envelope else "",
        # Without our header it was the broker: an event that was delivered too often.
        reason=str(message.headers.get(_REASON) or "broker"),
        error=str(message.headers.get(_ERROR) or message.headers.get("x-first-death-reason") or ""),
        attempts=attempt_of(message),
        dead_at=dead_at,
    )


def _own_headers(message: AbstractIncomingMessage) -> dict[str, Any]:
    """Return the headers of the event itself: without ours and the broker's notes (`x-…`)."""
    return {
        name: value for name, value in message.headers.items() if not name.lower().startswith("x-")
    }


def _persistent(body: bytes, headers: dict[str, Any]) -> Message:
    # No message_id: aiormq matches returned messages by it, and an event may well be on its way
    # twice. It makes up its own.
    return Message(
        body,
        headers=headers,
        content_type="application/json",
        delivery_mode=DeliveryMode.PERSISTENT,
    )
