"""One transfer as it should be: what each end has, sees and hears. Apart from `states.py`."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

CHUNK: Final = 64 * 1024
SIZES: Final = (3 * CHUNK - 5, CHUNK, 0)
"""Of the files: one with a short end, one of a single chunk, one with nothing in it."""
COUNTS: Final = (3, 1, 0)

ENDED: Final = ("rejected", "expired", "cancelled", "failed", "completed")
TAKING: Final = ("accepted", "receiving", "verifying", "paused")

Held = Mapping[int, Iterable[int]]
"""Chunks by file."""


class Refused(Exception):
    """With the code of the problem."""


@dataclass
class Part:
    """One recipient's."""

    state: str = "offered"
    device: int | None = None
    """Which of theirs they accepted on, or went on with since."""
    held: dict[int, set[int]] = field(default_factory=dict)
    """By each file that was accepted."""

    @property
    def accepted_bytes(self) -> int:
        return sum(SIZES[file] for file in self.held)

    @property
    def received_bytes(self) -> int:
        return sum(bytes_of(file, chunks) for file, chunks in self.held.items())

    def hold(self, held: Held) -> None:
        for file, chunks in held.items():
            if file in self.held:
                self.held[file] |= {chunk for chunk in chunks if chunk < COUNTS[file]}

    def reached(self, *, confirmed: bool) -> str:
        """Return how far it is, as far as bytes go."""
        if self.received_bytes < self.accepted_bytes:
            return "receiving"
        return "completed" if confirmed else "verifying"

    def go_on(self, *, confirmed: bool) -> None:
        """Draw the conclusion of what is held; who rests goes on resting."""
        reached = self.reached(confirmed=confirmed)
        if not (self.state == "paused" and reached == "receiving"):
            self.state = reached

    def begun(self) -> bool:
        return self.received_bytes > 0 or self.accepted_bytes == 0

    def refuse_unless(self, *states: str) -> None:
        if self.state not in states:
            raise Refused("transfer-over" if self.state in ENDED else "wrong-state")


def bytes_of(file: int, chunks: Iterable[int]) -> int:
    return sum(min(CHUNK, SIZES[file] - chunk * CHUNK) for chunk in chunks)


class Model:
    """A transfer from `sender` to two others, told to all three."""

    def __init__(self, sender: str, recipients: Iterable[str]) -> None:
        self.sender = sender
        self.parts = {each: Part() for each in recipients}
        self.stored: list[set[int]] = [set() for _ in SIZES]
        self.confirmed = False
        self.told: dict[str, list[str]] = {sender: ["transfer_updated"]}
        self.told |= {each: ["incoming_transfer"] for each in self.parts}

    @property
    def state(self) -> str:
        """To the sender: the furthest on while one is under way, then the best outcome."""
        states = {part.state for part in self.parts.values()}
        for order in (("verifying", "receiving", "accepted", "paused", "offered"), ENDED[::-1]):
            for state in order:
                if state in states:
                    return state
        raise AssertionError(states)

    @property
    def over(self) -> bool:
        return self.state in ENDED

    # --- what people do: each raises Refused, and tells whom it concerns --------------------------

    def accept(self, who: str, device: int, files: Iterable[int] | None) -> None:
        part = self.parts[who]
        wanted = set(range(len(SIZES))) if files is None else set(files)
        part.refuse_unless("offered", *TAKING, "completed")
        if part.state != "offered":
            if files is not None and wanted != part.held.keys():
                raise Refused("accepted-otherwise")
            return
        part.state, part.device = "accepted", device
        part.held = {file: set() for file in wanted}
        if part.begun():
            part.go_on(confirmed=self.confirmed)
        self._tell(who)

    def reject(self, who: str) -> None:
        self.parts[who].refuse_unless("offered", "rejected")
        self._move(who, "rejected")

    def pause(self, who: str) -> None:
        self._each(who, TAKING, self._pause)

    def resume(self, who: str) -> None:
        self._each(who, TAKING, self._resume)

    def cancel(self, who: str) -> None:
        self._each(who, ("offered", *TAKING, "cancelled"), lambda _: "cancelled")

    def resume_with(self, who: str, device: int, have: Held) -> None:
        part = self.parts[who]
        part.refuse_unless(*TAKING)
        before = part.state, part.device
        part.device = device
        if part.state == "paused":
            part.state = "accepted"
        part.held = {file: set() for file in part.held}
        part.hold(have)
        if part.begun() or part.state == "verifying":
            part.go_on(confirmed=self.confirmed)
        if (part.state, part.device) != before:
            self._tell(who)

    def receive(self, who: str, chunks: Held) -> None:
        """Never refused: what comes too early or too late counts for nothing."""
        part = self.parts[who]
        if part.state in TAKING:
            before = part.state
            part.hold(chunks)
            part.go_on(confirmed=self.confirmed)
            if part.state != before:
                self._tell(who)

    def complete(self) -> None:
        if self.confirmed:
            return
        if self.over:
            raise Refused("transfer-over")
        if any(len(self.stored[file]) < COUNTS[file] for file in range(len(SIZES))):
            raise Refused("upload-incomplete")
        self.confirmed = True
        under_way = [who for who, part in self.parts.items() if part.state not in ENDED]
        for who in under_way:
            part = self.parts[who]
            if part.state in TAKING and part.begun():
                part.go_on(confirmed=True)
        self._tell(*under_way)

    def expire(self) -> None:
        under_way = [who for who, part in self.parts.items() if part.state not in ENDED]
        for who in under_way:
            self.parts[who].state = "expired"
        if under_way:
            self._tell(*under_way)

    # ---------------------------------------------------------------------------------------------

    def _each(self, who: str, states: Iterable[str], reach: Callable[[Part], str]) -> None:
        """Have it happen to a recipient, or by the sender to all to whom it can."""
        if who != self.sender:
            self.parts[who].refuse_unless(*states)
            self._move(who, reach(self.parts[who]))
            return
        able = [each for each, part in self.parts.items() if part.state in states]
        if not able:
            raise Refused("transfer-over" if self.over else "wrong-state")
        reached = {each: reach(self.parts[each]) for each in able}
        changed = [each for each in able if self.parts[each].state != reached[each]]
        for each in changed:
            self.parts[each].state = reached[each]
        if changed:
            self._tell(*changed)

    def _pause(self, part: Part) -> str:
        return part.state if part.state == "verifying" else "paused"

    def _resume(self, part: Part) -> str:
        if part.state != "paused":
            return part.state
        return part.reached(confirmed=self.confirmed) if part.begun() else "accepted"

    def _move(self, who: str, state: str) -> None:
        if self.parts[who].state != state:
            self.parts[who].state = state
            self._tell(who)

    def _tell(self, *changed: str) -> None:
        """Tell these recipients of their parts, and the sender once of it all."""
        done = {who for who in changed if self.parts[who].state == "completed"}
        for who in changed:
            self.told[who].append("transfer_completed" if who in done else "transfer_updated")
        self.told[self.sender].append("transfer_completed" if done else "transfer_updated")
