"""The facts that services publish: one module for each service that publishes.

Wire names are explicit and versioned. A contract changes by adding fields with defaults; anything
else is a new name with the next version.
"""

from datetime import UTC, datetime
from typing import ClassVar, Self
from uuid import UUID

import msgspec

from sharezync_shared.events.bus import Envelope, PermanentError
from sharezync_shared.ids import uuid7


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """A fact, in the past tense. Fields that this version does not know are ignored."""

    type: ClassVar[str]
    """Wire name and routing key: `chat.message.deleted.v1`."""
    source: ClassVar[str]
    """Which service publishes it, by the wire name: `/chat`."""
    about: ClassVar[str]
    """The field that holds the id of what the fact is about."""

    def __init_subclass__(cls) -> None:
        cls.source = f"/{cls.type.partition('.')[0]}"

    @property
    def subject(self) -> str:
        """The id of what the fact is about."""
        return str(getattr(self, self.about))

    def envelope(
        self,
        *,
        event_id: UUID | None = None,
        time: datetime | None = None,
        traceparent: str | None = None,
    ) -> Envelope:
        """Return the fact ready to publish; without `event_id` it gets a new identity.

        `time` must be aware; without it the fact happened now.
        """
        return Envelope(
            id=event_id or uuid7(),
            source=self.source,
            type=self.type,
            subject=self.subject,
            time=time or datetime.now(UTC),
            data=msgspec.json.encode(self),
            traceparent=traceparent,
        )

    @classmethod
    def decode(cls, envelope: Envelope) -> Self:
        """Return the fact in `envelope`.

        Raises PermanentError for another type or a body that breaks the contract: in a consumer,
        both belong to the dead letters.
        """
        if envelope.type != cls.type:
            raise PermanentError(f"{envelope.type} is not {cls.type}")
        try:
            return msgspec.json.decode(envelope.data, type=cls)
        except msgspec.DecodeError as error:
            raise PermanentError(f"{cls.type}: {error}") from error
