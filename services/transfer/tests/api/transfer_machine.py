"""What the ends of a transfer do and what befalls them, each a rule that insists on the model."""

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any, Final

import msgspec
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from services.transfer.tests.api.transfer_model import (
    CHUNK,
    COUNTS,
    ENDED,
    SIZES,
    TAKING,
    Model,
    Refused,
    bytes_of,
)
from services.transfer.tests.support.stage import Stage
from services.transfer.tests.support.world import DECLARED, Json
from sharezync_shared.ids import DeviceId, uuid7
from sharezync_shared.ranges import Ranges
from sharezync_testkit.threads import LoopThread
from sharezync_transfer.usecases.sweeping import expire_some

ENDS: Final = ("sender", "bob", "eve")

recipients: Final = st.sampled_from(ENDS[1:])
anybody: Final = st.sampled_from(ENDS)
devices: Final = st.integers(0, 1)
ways: Final = st.sampled_from(["once", "once", "twice", "together", "dropped"])
"""How something is asked: `dropped` is asked again, as its first answer was lost on the way."""
some_files: Final = st.none() | st.sets(st.integers(0, 2), min_size=1)
chunks: Final = st.dictionaries(st.integers(0, 2), st.sets(st.integers(0, 3)), min_size=1)
turns: Final = st.integers(0, 40)


class Transferring(RuleBasedStateMachine):
    """One transfer, three people with two devices each, and all that can befall them."""

    def __init__(self, stage: Stage, loop: LoopThread) -> None:
        super().__init__()
        self.stage = stage
        self.loop = loop
        self.looked: dict[str, Json] = {}
        """What each has on their screen: a snapshot, and what they heard since."""
        self.heard: dict[str, int] = {}

    @initialize()
    def offer(self) -> None:
        self.people = {each: self.stage.person() for each in ENDS}
        self.devices = {each: [DeviceId(uuid7()) for _ in range(2)] for each in ENDS}
        self.tokens = {
            each: self.stage.token(self.people[each], self.devices[each][0]) for each in ENDS
        }
        self.stage.peers.uploads.clear()
        described = [{"name": f"folder/{index}", "size": size} for index, size in enumerate(SIZES)]
        to = [{"user_id": str(self.people[each])} for each in ENDS[1:]]
        data = {"recipients": to, "files": described, "chunk_size": CHUNK}
        (opened,) = self.send("sender", 0, "file_transfer_start", data, "once", 0)
        self.id = opened["data"]["id"]
        self.model = Model("sender", ENDS[1:])
        for each in ENDS:
            self.look(each)

    # --- what people do --------------------------------------------------------------------------

    @rule(who=recipients, device=devices, files=some_files, way=ways, after=turns)
    def accept(self, who: str, device: int, files: set[int] | None, way: str, after: int) -> None:
        data: Json = {} if files is None else {"files": sorted(files)}
        act = lambda: self.model.accept(who, device, files)  # noqa: E731 - to be done once or twice
        self.do(who, device, "accept", data, act, way, after)

    @rule(who=recipients, device=devices, way=ways, after=turns)
    def reject(self, who: str, device: int, way: str, after: int) -> None:
        self.do(who, device, "reject", {}, lambda: self.model.reject(who), way, after)

    @rule(who=anybody, device=devices, way=ways, after=turns)
    def pause(self, who: str, device: int, way: str, after: int) -> None:
        self.do(who, device, "pause", {}, lambda: self.model.pause(who), way, after)

    @rule(who=anybody, device=devices, way=ways, after=turns)
    def resume(self, who: str, device: int, way: str, after: int) -> None:
        self.do(who, device, "resume", {}, lambda: self.model.resume(who), way, after)

    @rule(who=recipients, device=devices, have=chunks, way=ways, after=turns)
    def resume_elsewhere(
        self, who: str, device: int, have: dict[int, set[int]], way: str, after: int
    ) -> None:
        act = lambda: self.model.resume_with(who, device, have)  # noqa: E731 - as above
        self.do(who, device, "resume", {"have": ranges(have)}, act, way, after)

    @rule(who=anybody, way=ways, after=turns, seldom=st.integers(0, 3))
    def cancel(self, who: str, way: str, after: int, seldom: int) -> None:
        if not seldom:
            self.do(who, 0, "cancel", {}, lambda: self.model.cancel(who), way, after)

    @rule(way=ways, after=turns, device=devices)
    def complete(self, way: str, after: int, device: int) -> None:
        self.do("sender", device, "complete", {}, self.model.complete, way, after)

    # --- what happens ----------------------------------------------------------------------------

    @precondition(lambda self: not self.model.over)
    @rule(file=st.integers(0, 1), chunk=st.integers(0, 2), everything=st.booleans())
    def store(self, file: int, chunk: int, everything: bool) -> None:
        for index in range(2):
            wanted = range(COUNTS[index]) if everything else ({chunk} if index == file else set())
            kept = {each for each in wanted if each < COUNTS[index]}
            self.model.stored[index] |= kept
            self.stage.peers.named(str(index)).stored |= Ranges((each, each) for each in kept)
        stored = {str(i): bytes_of(i, held) for i, held in enumerate(self.model.stored) if held}
        if stored:
            self.report("sender", 0, stored=stored)

    @rule(who=recipients, device=devices, came=chunks, again=st.booleans())
    def receive(
        self,
        who: str,
        device: int,
        came: dict[int, set[int]],
        again: bool,
    ) -> None:
        for _ in range(1 + again):
            self.report(who, device, received=ranges(came))
            self.model.receive(who, came)

    @precondition(lambda self: any(p.state in TAKING for p in self.model.parts.values()))
    @rule(who=recipients)
    def receive_everything(self, who: str) -> None:
        """Over REST, file by file, as those do who have no socket."""
        part = self.model.parts[who]
        for file in [file for file in sorted(part.held) if COUNTS[file]]:
            if part.state in (*TAKING, "completed"):
                body = {"file": file, "ranges": [[0, COUNTS[file] - 1]]}
                answer = self.rest(who, "POST", "/receipts", json=body)
                assert answer.status_code == 200, answer.text
                self.model.receive(who, {file: range(COUNTS[file])})
                assert answer.json()["received_bytes"] == part.received_bytes

    @rule(seldom=st.integers(0, 9))
    def expire(self, seldom: int) -> None:
        if seldom or self.model.over:
            return
        late = "UPDATE transfer.transfers SET expires_at = now() - interval '1 s' WHERE id = $1"
        self.loop.do(self.stage.rows(late, self.id))
        self.loop.do(self.stage_expires())
        self.model.expire()

    @rule()
    def restart(self) -> None:
        self.loop.do(self.stage.restart())

    @rule(who=anybody)
    def look(self, who: str) -> None:
        """Fetch anew, as after a `reset`; from then on only events are heard."""
        self.looked[who] = self.snapshot(who)
        self.heard[who] = len(self.all_events()[who])

    # --- what must hold --------------------------------------------------------------------------

    @invariant()
    def everybody_sees_and_has_heard_what_the_model_says(self) -> None:
        events = self.all_events()
        for who in ENDS:
            seen = self.snapshot(who)
            self.check_states_and_bytes(who, seen)
            assert [event["type"] for event in events[who]] == self.model.told[who], who
            # A snapshot and the events since make a fresh snapshot.
            for event in events[who][self.heard[who] :]:
                self.looked[who] = event["data"]
            self.heard[who] = len(events[who])
            assert without_progress(self.looked[who]) == without_progress(seen), who

    def check_states_and_bytes(self, who: str, seen: Json) -> None:
        shown = ENDS[1:] if who == "sender" else (who,)
        parts = {each["user_id"]: each for each in seen["recipients"]}
        assert parts.keys() == {str(self.people[each]) for each in shown}
        for each in shown:
            part, expected = parts[str(self.people[each])], self.model.parts[each]
            assert part["state"] == expected.state, (who, each)
            device = None if expected.device is None else self.devices[each][expected.device]
            assert part["device_id"] == (str(device) if device else None), (who, each)
            assert part["received_bytes"] == expected.received_bytes, (who, each)
            assert part["accepted_bytes"] == expected.accepted_bytes, (who, each)
        own = self.model.state if who == "sender" else self.model.parts[who].state
        assert seen["state"] == own, who

    @rule(who=recipients, device=devices)
    def connect(self, who: str, device: int) -> None:
        """What a gateway is told on any device is what was confirmed, and not what was said."""
        held = self.model.parts[who].held
        received = self.internal(who, device, "attach")["received"]
        assert {int(file): set(Ranges(map(tuple, r))) for file, r in received.items()} == held
        missing = {each["index"]: Ranges(map(tuple, each["missing"])) for each in self.missing(who)}
        assert {file: set(range(COUNTS[file])) - held[file] for file in held} == {
            file: set(gaps) for file, gaps in missing.items()
        }

    @precondition(lambda self: not self.model.over)
    @rule()
    def come_back_to_send(self) -> None:
        missing = {
            each["index"]: Ranges(map(tuple, each["missing"])) for each in self.missing("sender")
        }
        for file, stored in enumerate(self.model.stored):
            assert set(missing[file]) == set(range(COUNTS[file])) - stored

    def teardown(self) -> None:
        """See that sums hold each part that ended, once."""
        if not hasattr(self, "model"):
            return
        ended = Counter(part.state in ENDED for part in self.model.parts.values())[True]
        sums = self.loop.do(
            self.stage.rows(
                "SELECT role, sum(ended) AS ended FROM transfer.sums_by_peer "
                "WHERE user_id = ANY($1::uuid[]) GROUP BY role",
                list(self.people.values()),
            )
        )
        expected = {"sender": ended, "recipient": ended} if ended else {}
        assert {row["role"]: row["ended"] for row in sums} == expected

    # --- asking the service ----------------------------------------------------------------------

    def do(
        self,
        who: str,
        device: int,
        act: str,
        data: Json,
        in_model: Callable[[], None],
        way: str,
        after: int,
    ) -> None:
        """Do something in one of the ways, in the model too, and compare the answers."""
        named = {"transfer_id": self.id, **data}
        answers = self.send(who, device, f"transfer_{act}", named, way, after)
        expected = [outcome_of(in_model), outcome_of(in_model)]
        codes = [(answer.get("problem") or {}).get("code") for answer in answers]
        match way:
            case "once":
                assert codes == expected[:1]
            case "twice":
                assert codes == expected
            case "together":
                assert Counter(codes) == Counter(expected)
            case _:  # whether the first was done nobody knows
                assert codes[0] in expected

    def send(
        self, who: str, device: int, kind: str, data: Json, way: str, after: int
    ) -> list[Json]:
        async def once() -> Json:
            return await self.command(who, device, kind, data)

        async def in_its_way() -> list[Json]:
            if way == "twice":
                return [await once(), await once()]
            if way == "together":
                return list(await asyncio.gather(once(), once()))
            if way == "dropped":
                lost = asyncio.create_task(once())
                for _ in range(after):
                    await asyncio.sleep(0)
                lost.cancel()
                await asyncio.wait([lost])
            return [await once()]

        return self.loop.do(in_its_way())

    async def command(self, who: str, device: int, kind: str, data: Json) -> Json:
        command = {**self.named(who, device), "kind": kind, "data": data}
        answer = await self.stage.ask(
            self.service_token, "POST", "/internal/commands", json={"commands": [command]}
        )
        assert answer.status_code == 200, answer.text
        (result,) = answer.json()["results"]
        return dict(result)

    def internal(self, who: str, device: int, act: str, **more: Any) -> Json:
        path = f"/internal/transfers/{self.id}/{act}"
        body = {**self.named(who, device), **more}
        answer = self.loop.do(self.stage.ask(self.service_token, "POST", path, json=body))
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def report(self, who: str, device: int, **progress: Any) -> None:
        self.internal(who, device, "progress", **progress)

    @property
    def service_token(self) -> str:
        return self.stage.issuer.service_token("gateway").token

    def named(self, who: str, device: int) -> Json:
        return {"user_id": str(self.people[who]), "device_id": str(self.devices[who][device])}

    def rest(self, who: str, method: str, path: str = "", **options: Any) -> Any:
        path = f"/v1/transfers/{self.id}{path}"
        return self.loop.do(self.stage.ask(self.tokens[who], method, path, **options))

    def snapshot(self, who: str) -> Json:
        answer = self.rest(who, "GET")
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def missing(self, who: str) -> list[Json]:
        answer = self.rest(who, "GET", "/missing")
        assert answer.status_code == 200, answer.text
        return list(answer.json()["files"])

    def all_events(self) -> dict[str, list[Json]]:
        """Return what was told to each, in order and without a gap."""
        streams = {f"transfers:{self.people[who]}": who for who in ENDS}
        found: dict[str, list[Json]] = {who: [] for who in ENDS}
        rows = self.loop.do(
            self.stage.rows(
                "SELECT stream, text FROM transfer.stream_log WHERE stream = ANY($1::text[]) "
                "ORDER BY stream, seq",
                list(streams),
            )
        )
        for row in rows:
            event = msgspec.json.decode(str(row["text"]))
            told = found[streams[str(row["stream"])]]
            told.append(event)
            assert event["seq"] == len(told)
            DECLARED.check(event)
        return found

    async def stage_expires(self) -> None:
        while await expire_some(self.stage.core.work):
            pass


def outcome_of(in_model: Callable[[], None]) -> str | None:
    try:
        in_model()
    except Refused as refused:
        return str(refused)
    return None


def ranges(chunks: dict[int, set[int]]) -> Json:
    return {str(f): Ranges((c, c) for c in held).pairs() for f, held in chunks.items()}


def without_progress(read: Json) -> Json:
    """Leave out what only signals tell of, which may be lost, and the time that `expire` moves."""
    files = [{**file, "stored_bytes": None} for file in read["files"]]
    parts = [{**part, "received_bytes": None} for part in read["recipients"]]
    return {**read, "files": files, "recipients": parts, "expires_at": None}
