"""Acknowledgements to senders, room for bytes, fresh chunks, notices."""

import asyncio
from collections.abc import Sequence
from uuid import UUID, uuid4

import pytest

from services.gateway.tests.unit.transfers.fakes import make_chunk
from sharezync_gateway.transfers.core.memory import ByteSemaphore, ChunkCache
from sharezync_gateway.transfers.core.notices import Notice, Notices
from sharezync_gateway.transfers.socket.chunk_receiver import ACK_BYTES, AckTracker
from sharezync_shared.events.bus import BusUnavailable
from sharezync_shared.events.local import LocalBus
from sharezync_shared.streams.frames import Control, Frame
from sharezync_testkit.waiting import wait_until

TRANSFER = UUID("01936f0c-2b7e-7d33-8d7a-0c8e3a7c1f10")


class TestTally:
    def test_acknowledgements_are_cumulative_and_name_what_is_beyond(self) -> None:
        tally = AckTracker()
        tally.note(0, 2, 10, next_index=1)
        tally.note(0, 0, 10, next_index=1)
        tally.note(3, 5, 10, next_index=0)
        assert tally.pop_acks() == [(0, 1, [2]), (3, 0, [5])]
        assert not tally.waiting
        tally.note(0, 1, 10, next_index=3)
        assert tally.pop_acks() == [(0, 3, [])]

    def test_through_never_goes_back(self) -> None:
        tally = AckTracker()
        tally.note(0, 4, 10, next_index=5)
        tally.note(0, 3, 10, next_index=4)  # its answer was slower
        assert tally.pop_acks() == [(0, 5, [])]

    def test_a_mebibyte_is_due(self) -> None:
        tally = AckTracker()
        tally.note(0, 0, ACK_BYTES - 1, next_index=1)
        assert (tally.waiting, tally.due) == (True, False)
        tally.note(0, 1, 1, next_index=2)
        assert tally.due
        tally.pop_acks()
        assert not tally.due


class TestByteGate:
    async def test_who_does_not_fit_waits_for_their_turn(self) -> None:
        gate = ByteSemaphore(100)
        await gate.enter(60)
        order: list[int] = []

        async def come(size: int) -> None:
            await gate.enter(size)
            order.append(size)

        big, small = asyncio.create_task(come(50)), asyncio.create_task(come(10))
        await asyncio.sleep(0)
        assert order == []
        gate.leave(60)
        await asyncio.gather(big, small)
        assert order == [50, 10]
        assert gate.inside_bytes == 60

    async def test_one_piece_always_may(self) -> None:
        gate = ByteSemaphore(10)
        await gate.enter(1000)
        assert gate.inside_bytes == 1000

    async def test_who_gives_up_waiting_keeps_nobody_out(self) -> None:
        gate = ByteSemaphore(100)
        await gate.enter(100)
        first = asyncio.create_task(gate.enter(100))
        second = asyncio.create_task(gate.enter(10))
        await asyncio.sleep(0)
        first.cancel()
        gate.leave(100)
        await second
        await asyncio.gather(first, return_exceptions=True)
        assert gate.inside_bytes == 10

    async def test_who_gives_up_when_let_in_leaves_room(self) -> None:
        gate = ByteSemaphore(100)
        await gate.enter(100)
        late = asyncio.create_task(gate.enter(100))
        await asyncio.sleep(0)
        gate.leave(100)
        late.cancel()
        await asyncio.gather(late, return_exceptions=True)
        assert gate.inside_bytes == 0


class TestFreshChunks:
    def test_the_least_recently_used_go_first(self) -> None:
        upload = uuid4()
        fresh = ChunkCache(30)
        for index in range(3):
            fresh.put((upload, index), bytes(10), takers=3)
        fresh.pop((upload, 0))
        fresh.put((upload, 3), bytes(10), takers=3)
        assert [fresh.pop((upload, i)) is not None for i in range(4)] == [True, False, True, True]
        assert fresh.size_bytes == 30

    def test_a_frame_is_kept_for_as_many_as_are_about_to_take_it(self) -> None:
        key = (uuid4(), 0)
        fresh = ChunkCache(30)
        fresh.put(key, bytes(10), takers=2)
        assert [fresh.pop(key) is not None for _ in range(3)] == [True, True, False]
        fresh.put(key, bytes(10), takers=0)
        assert (fresh.size_bytes, fresh.pop(key)) == (0, None)

    def test_the_same_again_takes_no_more_room(self) -> None:
        key = (uuid4(), 0)
        fresh = ChunkCache(30)
        fresh.put(key, bytes(20))
        fresh.put(key, bytes(25))
        assert fresh.size_bytes == 25
        fresh.discard(key)
        assert (fresh.size_bytes, fresh.pop(key)) == (0, None)

    def test_what_is_larger_than_all_room_is_not_kept(self) -> None:
        fresh = ChunkCache(30)
        fresh.put((uuid4(), 0), bytes(31))
        assert fresh.size_bytes == 0


class TestNotices:
    async def test_what_one_node_says_another_reads(self) -> None:
        bus = LocalBus()
        heard: list[Frame] = []

        async def no_gap() -> None:
            pass

        await bus.receive_frames(heard.extend, no_gap)
        await bus.start()
        notices = Notices(bus)
        chunk = make_chunk(TRANSFER, 3, 7, b"abc", bytes(32))
        notices.chunk_stored(chunk)
        await wait_until(lambda: heard)
        assert (heard[0].seq, heard[0].text) == (0, b"")
        assert heard[0].control == Control(chunk=[3, 7, 3])
        assert Notices.read(heard[0]) == (TRANSFER, (3, 7))
        await notices.aclose()
        await bus.aclose()

    async def test_the_first_leaves_at_once_and_those_behind_it_together(self) -> None:
        class CountingBus(LocalBus):
            def __init__(self) -> None:
                super().__init__()
                self.batches: list[list[Frame]] = []

            async def send_frames(self, frames: Sequence[Frame]) -> None:
                self.batches.append(list(frames))

        bus = CountingBus()
        notices = Notices(bus)
        chunks = [make_chunk(TRANSFER, 0, index, b"", bytes(32)) for index in range(6)]
        notices.chunk_stored(chunks[0])
        for chunk in chunks[1:]:
            await asyncio.sleep(0)  # each in a turn of its own
            notices.chunk_stored(chunk)
        await wait_until(lambda: sum(map(len, bus.batches)) == len(chunks))
        assert [len(batch) for batch in bus.batches] == [1, 5]
        await notices.aclose()

    async def test_a_bus_that_is_away_loses_them_quietly(self) -> None:
        class AwayBus(LocalBus):
            tried = 0

            async def send_frames(self, frames: object) -> None:
                self.tried += 1
                raise BusUnavailable

        bus = AwayBus()
        notices = Notices(bus)
        notices.chunk_stored(make_chunk(TRANSFER, 0, 0, b"", bytes(32)))
        await wait_until(lambda: bus.tried)
        await notices.aclose()

    @pytest.mark.parametrize(
        ("stream", "said", "expected"),
        [
            (f"transfer:{TRANSFER}", ["changed"], (TRANSFER, None)),
            (f"transfer:{TRANSFER}", [0, 1, 5], (TRANSFER, (0, 1))),
            (f"transfer:{TRANSFER}", [0, 1, 5, "later"], None),
            (f"transfer:{TRANSFER}", ["something else"], None),
            (f"transfer:{TRANSFER}", ["0", "1", "5"], None),
            ("transfer:x", ["changed"], None),
            (f"channel:{TRANSFER}", ["changed"], None),
        ],
    )
    def test_what_is_no_notice_is_left_alone(
        self, stream: str, said: list[object], expected: Notice | None
    ) -> None:
        assert Notices.read(Frame(stream, "", 0, b"", Control(chunk=said))) == expected
        assert Notices.read(Frame(stream, "", 0, b"")) is None
