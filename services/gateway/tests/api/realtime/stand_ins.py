"""Stand-ins for the services behind a gateway: they own streams, with a log of their own."""

import json
from collections import defaultdict
from collections.abc import Collection, Sequence

import msgspec

from services.gateway.tests.api.realtime.registry import Registry
from sharezync_gateway.realtime.protocol import Cursor
from sharezync_gateway.realtime.service_calls import (
    OWNERS,
    NewFrames,
    Replayed,
    Sight,
    UserHeads,
    owner_of,
)
from sharezync_shared.calls.client import ServiceUnavailable
from sharezync_shared.contracts.commands import Command, CommandResult
from sharezync_shared.streams.frames import Control, Frame

REPLAY_LIMIT = 500
AT = "2026-11-21T17:00:00.000000Z"


class Services(Registry):
    """What the services behind would say: logs of streams, who is on them, and on which devices."""

    def __init__(self) -> None:
        super().__init__()
        self.epoch = "e1"
        self.logs: dict[str, list[Frame]] = defaultdict(list)
        self.members: dict[str, set[str]] = defaultdict(set)
        self.shy: set[tuple[str, str]] = set()
        """Who, of those who share a channel, does not know whom."""
        self.blocks: set[tuple[str, str]] = set()
        """Who has blocked whom."""
        self.without_broker: set[str] = set()
        """Services that can't reach the broker."""
        self.changes_limit = REPLAY_LIMIT
        """Frames of one stream that an answer about many has room for."""
        self.batches: list[list[Command]] = []
        self.outcomes: dict[str, CommandResult] = {}

    def say(
        self, stream: str, text: str = "", *, control: Control | None = None, kind: str = "said"
    ) -> Frame:
        """Put an event into a stream's log and return its frame, which nobody has heard of yet."""
        seq = len(self.logs[stream]) + 1
        body = {
            "type": kind,
            "stream": stream,
            "epoch": self.epoch,
            "seq": seq,
            "at": AT,
            "data": {"text": text},
        }
        text_of_frame = json.dumps(body, separators=(",", ":")).encode()
        frame = Frame(stream, self.epoch, seq, text_of_frame, control)
        self.logs[stream].append(frame)
        if control is not None:
            self.members[stream] |= set(control.join)
            self.members[stream] -= set(control.leave)
        return frame

    def head(self, stream: str) -> Cursor:
        return (self.epoch, len(self.logs[stream]))

    # --- in place of ServiceCalls ------------------------------------------------------------

    async def heads(self, user_id: str, owners: Collection[str] = OWNERS) -> UserHeads:
        self.asked.append(("heads", user_id))
        own = {f"inbox:{user_id}", f"transfers:{user_id}", f"account:{user_id}"}
        on = own | {stream for stream, members in self.members.items() if user_id in members}
        missing = frozenset(self.away & set(owners))
        streams = {s: self.head(s) for s in on if owner_of(s) in set(owners) - missing}
        await self._pass("heads")
        return UserHeads(streams, missing)

    async def replay(self, stream: str, cursor: Cursor) -> Replayed:
        self.asked.append(("replay", stream, cursor))
        if "replay" in self.first_gate:
            await self.first_gate["replay"].wait()
        owner = owner_of(stream)
        if owner is None or owner in self.away:
            raise ServiceUnavailable(str(owner), "away")
        epoch, after = cursor
        head = len(self.logs[stream])
        reset = epoch != self.epoch or not 0 <= head - after <= REPLAY_LIMIT
        frames = [] if reset else list(self.logs[stream][after:])
        await self._pass("replay")
        return Replayed(self.epoch, head, reset, frames)

    async def changes(self, owner: str, after: dict[str, int]) -> NewFrames:
        self.asked.append(("changes", owner, dict(after)))
        if owner in self.away:
            raise ServiceUnavailable(owner, "away")
        heads = {s: len(self.logs[s]) for s in after if len(self.logs[s]) > after[s]}
        near = [s for s in heads if heads[s] - after[s] <= self.changes_limit]
        frames = [frame for s in near for frame in self.logs[s][after[s] :]]
        await self._pass("changes")
        return NewFrames(self.epoch, heads, frames, owner not in self.without_broker)

    async def commands(self, batch: Sequence[Command]) -> list[CommandResult]:
        self.batches.append(list(batch))
        await self._pass("commands")
        self._answer_from("chat")
        return [self._carry_out(command) for command in batch]

    async def acquaintances(self, user_id: str, other_ids: Collection[str]) -> Sight:
        return await self._sight(user_id, [(other_id, user_id) for other_id in other_ids])

    async def viewers(self, user_id: str, other_ids: Collection[str]) -> Sight:
        sight = await self._sight(user_id, [(user_id, other_id) for other_id in other_ids])
        self._answer_from("auth")
        return sight

    async def _sight(self, user_id: str, pairs: Sequence[tuple[str, str]]) -> Sight:
        """`pairs`: of each who would be seen, and who would look; one of them is the user."""
        if not pairs:
            return Sight(set(), set())
        others = {pair: pair[pair[0] == user_id] for pair in pairs}
        self.asked.append(("acquaintances", user_id, sorted(others.values())))
        self._answer_from("chat")
        shared = (members for members in self.members.values() if user_id in members)
        near = set().union(*shared)
        known = {p: o for p, o in others.items() if o in near and p not in self.shy}
        known = {p: o for p, o in known.items() if p[::-1] not in self.blocks}
        sight = Sight(
            {o for p, o in known.items() if p not in self.blocks},
            {o for p, o in known.items() if p in self.blocks},
        )
        await self._pass("acquaintances")
        return sight

    def _carry_out(self, command: Command) -> CommandResult:
        data = msgspec.to_builtins(command.data)
        wanted = self.outcomes.get(data.get("text") or "")
        return wanted or CommandResult(msgspec.Raw(msgspec.json.encode({command.kind: data})))
