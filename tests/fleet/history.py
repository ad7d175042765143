"""What writers were told and readers saw, held against what the channel says in the end. No I/O.

The promises of the socket (realtime.md, Streams): nothing acknowledged is lost, in one stream no
gap, no double after the client drops what it has seen, one order for all.
"""

from collections import Counter, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

Json = dict[str, Any]


@dataclass
class Writer:
    """Everything that one writer tried to say, by the key it chose, and what it was told."""

    name: str
    tried: list[str] = field(default_factory=list)
    acknowledged: dict[str, int] = field(default_factory=dict)
    """`seq` that the answer named, by key."""
    contradictions: list[str] = field(default_factory=list)

    def told(self, key: str, seq: int) -> None:
        """Note an acknowledgement; a retry must be told the same."""
        before = self.acknowledged.setdefault(key, seq)
        if before != seq:
            self.contradictions.append(f"{self.name} was told {before} and {seq} for {key}")


@dataclass
class Reader:
    """One device's copy of a stream: what it keeps after dropping what it has seen."""

    name: str
    seq: int
    epoch: str
    keys: list[str] = field(default_factory=list)
    """`client_message_id` of each message, in the order it came."""
    resuming: bool = False
    """Whether live events may still come from before what was missed is behind it."""
    passed_over: int = 0
    seen_again: int = 0
    replays: int = 0
    refetched: int = 0
    faults: list[str] = field(default_factory=list)
    first: int = field(init=False)
    """Where it came in: what was before is none of its business."""
    lately: deque[str] = field(default_factory=lambda: deque(maxlen=40))
    """What became of it, for whoever has to explain a fault."""

    def __post_init__(self) -> None:
        self.first = self.seq

    def note(self, what: str) -> None:
        """Keep what became of it for a while."""
        self.lately.append(f"{datetime.now(UTC):%T.%f} at {self.seq}: {what}")

    def fault(self, what: str) -> None:
        """Note a broken promise, and what led to it."""
        self.faults.append("\n    ".join([f"{self.name}: {what}", *self.lately]))

    def resumed(self, outcome: Json) -> None:
        """Take what became of the stream; who is on it stays on it."""
        self.note(f"resumed: {outcome}")
        self.resuming = False
        self.replays += outcome["result"] == "replayed"
        if outcome["result"] == "gone":
            self.fault("was told that it is not on the stream")

    def take(self, event: Json) -> None:
        """Take an event of the stream as a client does.

        While it resumes, what isn't the next one comes again, in order.
        """
        if event["epoch"] != self.epoch:
            self.fault(f"epoch {event['epoch']} at {event['seq']}")
        if event["seq"] <= self.seq:
            self.seen_again += 1
            return
        if event["seq"] > self.seq + 1 and self.resuming:
            self.passed_over += 1
            self.note(f"passes over {event['seq']}")
            return
        if event["seq"] != self.seq + 1:
            self.fault(f"{event['seq']} came after {self.seq}")
        self.seq = event["seq"]
        if event["type"] == "message.created":
            self.keys.append(event["data"]["client_message_id"])

    def refetch(self, reset: Json, messages: Sequence[Json]) -> None:
        """Take over what was said up to a `reset`.

        It is for who is far behind, and for whom the owner of the stream doesn't answer for long.
        """
        self.keys += [message["client_message_id"] for message in messages]
        # A node may be behind what this device saw elsewhere: that is not seen anew.
        self.seq = max(self.seq, reset["seq"]) if reset["epoch"] == self.epoch else reset["seq"]
        self.epoch = reset["epoch"]
        self.refetched += 1


def faults(
    writers: Iterable[Writer], readers: Iterable[Reader], history: Sequence[Json], head: int
) -> list[str]:
    """Return every broken promise; `history` is the channel as loaded afresh, oldest first."""
    found: list[str] = []
    said = [message["client_message_id"] for message in history]
    seqs = {message["client_message_id"]: message["seq"] for message in history}
    doubled = [key for key, times in Counter(said).items() if times > 1]
    found += [f"{key} stands {said.count(key)} times" for key in doubled]
    if [message["seq"] for message in history] != sorted(seqs.values()):
        found.append("the history is not in the order of its seq")
    tried: set[str] = set()
    for writer in writers:
        tried.update(writer.tried)
        found += writer.contradictions
        for key, seq in writer.acknowledged.items():
            if key not in seqs:
                found.append(f"{key} was acknowledged and is lost")
            elif seqs[key] != seq:
                found.append(f"{key} was acknowledged as {seq} and stands at {seqs[key]}")
        order = [key for key in said if key in set(writer.tried)]
        if order != [key for key in writer.tried if key in seqs]:
            found.append(f"what {writer.name} said stands in another order")
    found += [f"{key} was said by nobody" for key in said if key not in tried]
    for reader in readers:
        found += reader.faults
        if reader.seq != head:
            found.append(f"{reader.name} ended at {reader.seq}, the stream at {head}")
        if reader.keys != said:
            missing = [key for key in said if key not in set(reader.keys)]
            found.append(f"{reader.name} has another history; it lacks {missing[:5]}")
    return found


def told(writers: Iterable[Writer], readers: Iterable[Reader]) -> str:
    """Return in a line how much was said and heard."""
    writers, readers = list(writers), list(readers)
    tried = sum(len(writer.tried) for writer in writers)
    acknowledged = sum(len(writer.acknowledged) for writer in writers)
    heard = " ".join(str(len(reader.keys)) for reader in readers)
    again = sum(reader.seen_again for reader in readers)
    early = sum(reader.passed_over for reader in readers)
    replays = sum(reader.replays for reader in readers)
    resets = sum(reader.refetched for reader in readers)
    return (
        f"{acknowledged} of {tried} messages acknowledged; readers have {heard}; "
        f"{replays} replays, {resets} resets, {again} events seen again, {early} before their turn"
    )
