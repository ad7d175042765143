"""A sender and a receiver on sockets, and all that can befall them, each a rule."""

import asyncio
import random
from collections.abc import Sequence
from typing import Final
from uuid import uuid4

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from sharezync_shared.ranges import Ranges
from sharezync_testkit.threads import LoopThread
from sharezync_testkit.waiting import DEADLINE_SECONDS
from tests.blackbox.people import Chunk, Json, Person
from tests.fleet.crowd import until
from tests.transfer_stage import ALL, CHUNK, COUNT, SIZE, Device, House, Receiving, Sending, piece

some: Final = st.lists(st.integers(0, COUNT - 1), min_size=1, max_size=8, unique=True)
"""Which chunks, in which order."""
turns: Final = st.integers(0, 30)
"""After how many turns of the loop a line breaks."""
orders: Final = st.randoms(use_true_random=False)


class Transferring(RuleBasedStateMachine):
    """One file to one person with two devices, through the real services.

    At every moment: what was acknowledged is stored, what is stored was sent, what comes is stored,
    is what was sent, comes once on a line and within the window. And in the end it has arrived.
    """

    def __init__(self, house: House, ada: Person, bob: Person, loop: LoopThread) -> None:
        super().__init__()
        self.house = house
        self.loop = loop
        self.people = (ada, bob)
        self.sender = Sending(ada, "desk")
        self.receivers = [Receiving(bob, name) for name in ("phone", "tablet")]
        self.sent: set[int] = set()
        """Chunks that were sent as they are, whether they arrived or not."""
        self.acknowledged: set[int] = set()
        self.delivered: set[int] = set()
        self.accepted = self.confirmed = self.over = False

    @initialize()
    def offer(self) -> None:
        offered = self.command(
            self.sender,
            "file_transfer_start",
            recipients=[{"user_id": self.people[1].id}],
            files=[{"name": "a.bin", "size": SIZE}],
            chunk_size=CHUNK,
        )
        assert offered["data"]["window_bytes"] < SIZE, "or nobody can go beyond it"
        self.id: str = offered["data"]["id"]

    # --- the sender ------------------------------------------------------------------------------

    @precondition(lambda self: not self.confirmed)
    @rule(indexes=some)
    def send(self, indexes: list[int]) -> None:
        """Send within the window, in any order; what was acknowledged before on a new line."""
        if self.acknowledged & set(indexes):
            self.loop.do(self._drop_sender())
        assert self.send_all(indexes) == {}

    @precondition(lambda self: not self.confirmed)
    @rule(order=orders)
    def send_more_than_the_window(self, order: random.Random) -> None:
        self.loop.do(self._drop_sender())
        assert set(self.send_all(order.sample(range(COUNT), COUNT)).values()) <= {"window-exceeded"}

    @precondition(lambda self: not self.confirmed)
    @rule(indexes=some, after=turns)
    def send_and_lose_the_line(self, indexes: list[int], after: int) -> None:
        async def send() -> None:
            socket = await self.sender.connect()
            for index in indexes:
                await socket.say(self.chunk(index).encode())
            await self._drop_sender(after)

        self.sent |= set(indexes)
        self.loop.do(send())

    @precondition(lambda self: not self.confirmed)
    @rule(index=st.integers(0, COUNT - 1), fault=st.sampled_from(["corrupt", "length", "outside"]))
    def send_what_is_wrong(self, index: int, fault: str) -> None:
        right = self.chunk(index)
        wrong = {
            "corrupt": Chunk(self.id, 0, index, right.payload[:-1] + b"?", right.sha256),
            "length": Chunk(self.id, 0, index, right.payload[:-1]),
            "outside": Chunk(self.id, 0, index + COUNT, right.payload),
        }[fault]
        assert self.refusal_of(wrong) == f"chunk-{fault}"

    @rule(index=st.integers(0, COUNT - 1))
    def send_into_a_transfer_that_there_is_not(self, index: int) -> None:
        assert self.refusal_of(Chunk(str(uuid4()), 0, index, piece(index))) == "not-found"

    @rule(after=turns, way=st.sampled_from(["once", "twice", "line lost"]))
    def say_that_all_is_sent(self, after: int, way: str) -> None:
        complete = {"type": "transfer_complete", "transfer_id": self.id}
        if way == "line lost":
            self.loop.do(self.say_and_lose_the_line(complete, after))
        for _ in range(1 + (way == "twice")):
            before = self.stored()
            answer = self.command(self.sender, "transfer_complete", transfer_id=self.id)
            if before == ALL:
                assert answer["type"] == "reply", answer
            elif self.stored() != ALL:
                assert answer.get("code") == "upload-incomplete", answer
            self.confirmed = answer["type"] == "reply"

    # --- the receiver ----------------------------------------------------------------------------

    @precondition(lambda self: not self.over)
    @rule(which=st.integers(0, 1), window=st.integers(1, 6), forgets=st.booleans())
    def come_to_receive(self, which: int, window: int, forgets: bool) -> None:
        """Receive on one of the devices: all comes that this one doesn't hold."""
        self.loop.do(self.drop_receivers())
        device = self.receivers[which]
        if forgets:
            device.held.clear()
        self.begin(device, window)

    @rule(order=orders, most=st.integers(1, COUNT))
    def keep_and_acknowledge(self, order: random.Random, most: int) -> None:
        self.look()
        for device in self.receivers:
            if device.given:
                chosen = set(order.sample(sorted(device.given), min(most, len(device.given))))
                self.loop.do(device.acknowledge(self.id, chosen))

    @rule(after=turns)
    def lose_the_receivers_line(self, after: int) -> None:
        self.look()
        self.loop.do(self.drop_receivers(after))

    # --- the server ------------------------------------------------------------------------------

    @rule(seldom=st.integers(0, 3))
    def start_the_server_again(self, seldom: int) -> None:
        if not seldom:
            self.look()
            self.loop.do(self.restart())

    # --- what must hold --------------------------------------------------------------------------

    @invariant()
    def what_was_acknowledged_is_stored_and_what_came_too(self) -> None:
        self.look()
        stored = self.stored()
        assert self.acknowledged <= stored, "acknowledged is stored"
        assert self.delivered <= stored, "nothing comes that is not stored"
        assert stored <= self.sent, "nothing is stored that was not sent"

    def teardown(self) -> None:
        """Send and receive what is missing: the file is there, and both ends know it."""
        if not hasattr(self, "id"):
            return
        try:
            if not self.confirmed:
                for index in ALL - self.stored():
                    self.send([index])
                self.say_that_all_is_sent(0, "once")
                assert self.confirmed
            self.come_to_receive_the_rest()
            for person in self.people:
                self.loop.do(until(self.completed, person))
        finally:
            self.loop.do(self.drop_receivers())
            self.loop.do(self.sender.drop())

    def come_to_receive_the_rest(self) -> None:
        self.look()
        present = next((each for each in self.receivers if each.socket), self.receivers[0])
        if present.socket is None and not self.over:
            self.begin(present, COUNT)
        if not self.over:
            self.loop.do(self.receive_the_rest(present))

    # --- asking and telling ----------------------------------------------------------------------

    def chunk(self, index: int) -> Chunk:
        return Chunk(self.id, 0, index, piece(index))

    def send_all(self, indexes: Sequence[int]) -> dict[int, str]:
        """Send chunks; return which were refused, and why. All others are acknowledged."""

        async def send() -> dict[int, str]:
            socket = await self.sender.connect()
            after = len(socket.frames)
            refused: dict[int, str] = {}
            for index in indexes:
                await socket.say(self.chunk(index).encode())

            def settled(frame: Json) -> bool:
                if frame["type"] == "error":
                    refused[frame["index"]] = frame["code"]
                return set(indexes) <= self.sender.heed() | refused.keys()

            await socket.frame(settled, after=after)
            return refused

        self.sent |= set(indexes)
        return self.loop.do(send())

    def refusal_of(self, chunk: Chunk) -> str:
        async def send() -> str:
            socket = await self.sender.connect()
            after = len(socket.frames)
            await socket.say(chunk.encode())
            refused = await socket.frame(
                lambda frame: frame["type"] == "error" and frame["index"] == chunk.index,
                after=after,
            )
            return str(refused["code"])

        return self.loop.do(send())

    def command(self, device: Device, kind: str, **members: object) -> Json:
        async def ask() -> Json:
            return await (await device.connect()).command(kind, **members)

        return self.loop.do(ask())

    async def say_and_lose_the_line(self, frame: Json, after: int) -> None:
        await (await self.sender.connect()).send(frame)
        await self._drop_sender(after)

    async def _drop_sender(self, after: int = 0) -> None:
        self.acknowledged |= self.sender.heed()
        await self.sender.drop(after)

    def begin(self, device: Receiving, window: int) -> None:
        """Have pushed to a device what it doesn't hold."""
        device.window, device.told, device.given = window, set(device.held), set()
        named = {"transfer_id": self.id, "window": window * CHUNK}
        if not self.accepted:
            answer = self.command(device, "transfer_accept", **named)
            self.accepted = True
        else:
            held = Ranges((index, index) for index in device.held)
            have = {"0": [list(pair) for pair in held.pairs()]}
            answer = self.command(device, "transfer_resume", **named, have=have)
        if answer["type"] == "error":
            assert answer["code"] == "transfer-over", answer
            self.over = True
            assert self.confirmed
            assert any(each.held == ALL for each in self.receivers), "one device has all of it"

    def look(self) -> None:
        """Take note of all that has come."""
        self.loop.do(self._look())

    async def _look(self) -> None:
        self.acknowledged |= self.sender.heed()
        for device in self.receivers:
            self.delivered |= device.take(self.id)

    async def drop_receivers(self, after: int = 0) -> None:
        for device in self.receivers:
            await device.drop(after)

    async def receive_the_rest(self, device: Receiving) -> None:
        async with asyncio.timeout(DEADLINE_SECONDS):
            while device.held != ALL:
                self.delivered |= device.take(self.id)
                if device.given:
                    await device.acknowledge(self.id, set(device.given))
                await asyncio.sleep(0.005)

    async def restart(self) -> None:
        await self.drop_receivers()
        await self._drop_sender()
        await self.house.restart()

    def stored(self) -> set[int]:
        """Return what is stored, by the record that a sender resumes by."""
        document = self.loop.do(self.people[0].get(f"/v1/transfers/{self.id}/missing"))
        missing = Ranges((begin, end) for begin, end in document["files"][0]["missing"])
        return set(ALL) - set(missing)

    async def completed(self, person: Person) -> bool:
        transfer = await person.get(f"/v1/transfers/{self.id}")
        return bool(transfer["state"] == "completed")
