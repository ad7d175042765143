"""What services say to each other (facts) and to connected clients (frames), whatever carries it.

Two adapters, one contract: `LocalBus` (in process) and `RabbitMQBus`. What is promised here holds
for both, and one test suite holds both to it.
"""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Literal, Protocol
from uuid import UUID

import msgspec

from sharezync_shared.streams.frames import Frame


class Envelope(msgspec.Struct, frozen=True):
    """A fact on its way. Attributes as in CloudEvents 1.0, binary mode: `data` stands alone."""

    id: UUID
    """Identity of the fact. The same for every delivery of it; consumers dedupe by it."""
    source: str
    """The service that said it: `/chat`."""
    type: str
    """Explicit, versioned wire name, and routing key: `chat.message.deleted.v1`."""
    subject: str
    """What it is about, usually an id."""
    time: datetime
    """When it happened; aware, UTC."""
    data: bytes
    """The fact itself: a JSON object."""
    traceparent: str | None = None
    """W3C trace context of the request that caused it, where there is one."""
    tracestate: str = ""
    """What belongs to `traceparent`."""


class BusUnavailable(Exception):
    """The bus did not confirm everything it was given; say it again later.

    What is missing from `confirmed` may or may not have been delivered: repeating it is right,
    and consumers dedupe.
    """

    def __init__(self, detail: str = "", *, confirmed: frozenset[UUID] = frozenset()) -> None:
        super().__init__(detail)
        self.confirmed = confirmed
        """Ids of the envelopes of this call that need not be said again."""


class TransientError(Exception):
    """Raised by a handler: it may work later. The event climbs the retry ladder."""


class NotNow(TransientError):
    """Raised by a handler: no event could be handled now, as what all of them need is away.

    The event rests as after any other failure, and never becomes a dead letter for it.
    """


class PermanentError(Exception):
    """Raised by a handler: repeating is pointless. The event goes to the dead letters at once."""


Handler = Callable[[Envelope], Awaitable[None]]
OnFrames = Callable[[list[Frame]], None]
OnGap = Callable[[], Awaitable[None]]


class Bus(Protocol):
    """Carries facts at least once and frames at most once.

    Order of life: `consume` and `receive_frames` first, then `start`, then `publish` and
    `send_frames`, at last `aclose`. Who consumes later than `start` is served too, but may miss
    facts published before (a durable queue that exists already misses none).
    """

    @property
    def ready(self) -> bool:
        """Whether everything asked for so far is connected: publishing, consumers, receivers.

        False is no reason to stop: the bus heals itself, and what was not confirmed is repeated
        by the outbox relay.
        """
        ...

    @property
    def delivering(self) -> bool:
        """Whether frames that are sent now arrive at the receivers here, as far as is known.

        False within seconds of the broker's going away, also where it merely hangs. Who must not
        wait for its return asks the frames' source.
        """
        ...

    @property
    def may_lose_frames(self) -> bool:
        """Whether a frame can be lost, or come late, without anybody noticing: over a network.

        Who must not miss what one says asks its source as well.
        """
        ...

    async def start(self) -> None:
        """Connect and keep connected until `aclose`.

        Returns when all is up, or after a few seconds if the broker does not answer (then it goes
        on trying in the background). Never raises because a broker is away.
        """
        ...

    async def aclose(self) -> None:
        """Stop taking events, let running handlers finish for some seconds, disconnect.

        Events whose handler did not return are delivered again to whoever consumes next.
        Idempotent. The bus can't be started again.
        """
        ...

    async def publish(self, envelopes: Sequence[Envelope]) -> None:
        """Say facts; every queue bound to an envelope's type gets its own copy.

        Returns once all are in safe hands: a crash of this process or the broker loses none.
        A type that nobody consumes is not an error.

        Raises BusUnavailable, within seconds and never later, when some were not confirmed; its
        `confirmed` names those that were. The caller (the outbox relay) repeats the others.
        No order is promised between envelopes, and a repeated envelope is delivered again: the
        bus does not dedupe.
        """
        ...

    async def consume(
        self, queue: str, types: Sequence[str], handler: Handler, *, prefetch: int = 50
    ) -> None:
        """Have `handler` called for each event of `types`, at least once; returns at once.

        All consumers of one `queue` (`chat.events`) share its events, each going to one of them;
        different queues get a copy each. At most `prefetch` calls run at a time, in no particular
        order. Consuming a queue twice on one bus is fine where `types` are the same; otherwise
        ValueError, since either handler would be given what only the other understands.

        The handler owes: claim the event id in the transaction of its effect (inbox), because
        deliveries repeat. Returning takes the event off the queue. Raising PermanentError sends it
        to the dead letters at once; raising anything else, or taking longer than the bus's
        deadline, puts it on the retry ladder (1 s, 10 s, 60 s, then every 10 min), and to the dead
        letters after the last attempt; NotNow uses none up. An event that is no valid envelope
        becomes a dead letter without the handler being called.
        """
        ...

    async def send_frames(self, frames: Sequence[Frame]) -> None:
        """Hand finished frames to every receiver that listens now, at most once.

        Frames of one stream arrive in the order given, across calls that do not overlap. Nobody
        listening is not an error. Raises BusUnavailable, within seconds, when the broker did not
        take them all; receivers then find a gap in `seq` and heal it from the stream's log.
        """
        ...

    async def receive_frames(self, on_frames: OnFrames, on_gap: OnGap) -> None:
        """Have `on_frames` called with everything sent from now on; returns at once.

        `on_frames` is called on the event loop and must neither block nor keep or change the list.
        `on_gap` is called after each time listening began (the first and every reconnection), when
        new frames arrive already: frames may have been missed before. If it raises it is called
        again with growing pauses; all but Unavailable is logged as an error. Frames arrive while it
        runs.

        A receiver that falls too far behind loses the oldest frames, without notice but for the
        gap in `seq`.
        """
        ...


Reason = Literal["permanent", "exhausted", "undecodable"]
"""Why an event was given up: a handler's PermanentError, the last attempt, or not an envelope."""


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """An event that was given up."""

    id: UUID | None
    """None where the message was no readable envelope; the same goes for the empty strings."""
    type: str
    subject: str
    reason: str
    """A `Reason`; or the broker's own word, for what it gave up itself."""
    error: str
    """The last error, in a line; never contents."""
    attempts: int
    dead_at: datetime | None
