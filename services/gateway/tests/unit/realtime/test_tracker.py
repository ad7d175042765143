"""Order, doubles and holes: the tracker with an owner that the test controls, and its own time."""

import asyncio
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.gateway.tests.unit.realtime.tracker_bench import Bench, S, frame, make_bench
from sharezync_gateway.realtime.protocol import Cursor
from sharezync_gateway.realtime.tracker import PATIENCE_SECONDS
from sharezync_shared.calls.client import ServiceUnavailable
from sharezync_testkit.waiting import wait_until


@pytest.fixture
def bench() -> Bench:
    return make_bench()


async def test_frames_leave_in_order_and_once(bench: Bench) -> None:
    bench.tracker.track(S, ("e", 0))
    for f in (frame(2), frame(1), frame(1), frame(4), frame(3), frame(2), frame(5)):
        bench.tracker.handle_frames([f])
    assert bench.owner.seqs == [1, 2, 3, 4, 5]
    assert bench.tracker.position(S) == ("e", 5)
    assert bench.time.waiting == 0
    assert bench.owner.asked == []


async def test_a_batch_is_delivered_in_one_go(bench: Bench) -> None:
    bench.tracker.track(S, ("e", 0))
    bench.tracker.track("channel:t", ("e", 0))
    bench.tracker.handle_frames([frame(1), frame(1, stream="channel:t"), frame(2)])
    assert [(f.stream, f.seq) for f in bench.owner.delivered] == [
        (S, 1),
        ("channel:t", 1),
        (S, 2),
    ]


async def test_a_hole_is_fetched_after_100_ms_and_no_sooner(bench: Bench) -> None:
    frames = bench.owner.say(3)
    bench.tracker.track(S, ("e", 0))
    bench.tracker.handle_frames([frames[0], frames[2]])
    bench.time.pass_by(PATIENCE_SECONDS - 0.001)
    await bench.settle()
    assert bench.owner.asked == []
    assert bench.owner.seqs == [1]
    bench.time.pass_by(0.002)
    await bench.settle()
    assert bench.owner.asked == [("e", 1)]
    assert bench.owner.seqs == [1, 2, 3]


async def test_frames_that_come_during_the_fetching_follow_it(bench: Bench) -> None:
    owner = bench.owner
    owner.before_answer = asyncio.Event()
    bench.tracker.track(S, ("e", 0))
    bench.tracker.handle_frames([owner.say(3)[-1]])
    bench.time.pass_by(1)
    await bench.settle()
    late = owner.say(3)
    bench.tracker.handle_frames([late[1]])
    bench.tracker.handle_frames([late[0], late[2]])
    assert owner.seqs == []
    owner.before_answer.set()
    await bench.settle()
    assert owner.seqs == [1, 2, 3, 4, 5, 6]
    assert owner.asked == [("e", 0)]


async def test_the_owner_is_asked_again_with_growing_pauses(bench: Bench) -> None:
    bench.tracker.track(S, ("e", 0))
    bench.owner.away = True
    bench.tracker.handle_frames([bench.owner.say(2)[1]])
    bench.time.pass_by(1)
    await wait_until(lambda: len(bench.time.slept) >= 6)
    assert bench.time.slept[:6] == [0.1, 0.5, 2.0, 5.0, 5.0, 5.0]
    assert bench.owner.seqs == []
    bench.owner.away = False
    await bench.settle()
    assert bench.owner.seqs == [1, 2]


async def test_a_head_that_the_owner_told_is_fetched_if_it_does_not_come(bench: Bench) -> None:
    frames = bench.owner.say(3)
    bench.tracker.track(S, ("e", 1))
    bench.tracker.expect(S, ("e", 3))
    bench.tracker.handle_frames([frames[1]])
    bench.time.pass_by(1)
    await bench.settle()
    assert bench.owner.seqs == [2, 3]


async def test_a_head_that_is_told_during_a_fetch_is_fetched_after_it(bench: Bench) -> None:
    owner = bench.owner
    owner.before_answer = asyncio.Event()
    bench.tracker.track(S, ("e", 0))
    owner.say(3)
    bench.tracker.expect(S, ("e", 3))
    bench.time.pass_by(1)
    await bench.settle()
    owner.say(2)
    bench.tracker.expect(S, ("e", 5))
    owner.before_answer.set()
    await bench.settle()
    assert owner.seqs == [1, 2, 3, 4, 5]


async def test_a_head_that_comes_by_itself_is_not_fetched(bench: Bench) -> None:
    frames = bench.owner.say(2)
    bench.tracker.track(S, ("e", 0))
    bench.tracker.expect(S, ("e", 2))
    bench.tracker.handle_frames(frames)
    bench.time.pass_by(1)
    await bench.settle()
    assert bench.owner.asked == []


async def test_what_passed_before_a_stream_was_tracked_is_fetched(bench: Bench) -> None:
    bench.tracker.handle_frames(bench.owner.say(3))
    assert bench.owner.seqs == []
    bench.tracker.track(S, ("e", 1))
    bench.time.pass_by(1)
    await bench.settle()
    assert bench.owner.seqs == [2, 3]


async def test_what_others_got_before_a_stream_was_left_is_fetched_for_who_comes_with_an_old_head(
    bench: Bench,
) -> None:
    """Its owner said where it stands; then others came, got two frames, and left."""
    bench.owner.say(1)
    bench.tracker.track(S, ("e", 1))
    bench.tracker.handle_frames(bench.owner.say(2))
    bench.tracker.drop_stream(S)
    bench.owner.delivered.clear()
    bench.tracker.track(S, ("e", 1))
    bench.time.pass_by(1)
    await bench.settle()
    assert bench.owner.seqs == [2, 3]


async def test_a_frame_that_lets_somebody_in_begins_the_tracking(bench: Bench) -> None:
    bench.owner.welcome.add("ada")
    bench.tracker.handle_frames([frame(4), frame(5, join="bob"), frame(6, join="ada"), frame(7)])
    assert bench.owner.seqs == [6, 7]


async def test_a_frame_overtaken_by_its_successor_when_the_tracking_begins_is_no_loss(
    bench: Bench,
) -> None:
    bench.owner.welcome.add("ada")
    bench.owner.say(2)
    bench.tracker.handle_frames([frame(2), frame(1, join="ada")])
    assert bench.owner.seqs == [1]
    bench.time.pass_by(1)
    await bench.settle()
    assert bench.owner.seqs == [1, 2]


async def test_signals_pass_at_once_on_tracked_streams_only(bench: Bench) -> None:
    bench.tracker.handle_frames([frame(0)])
    bench.tracker.track(S, ("e", 5))
    bench.tracker.handle_frames([frame(0), frame(7), frame(0)])
    assert bench.owner.seqs == [0, 0]


async def test_too_far_behind_is_a_reset_and_goes_on_from_there(bench: Bench) -> None:
    bench.tracker.track(S, ("e", 0))
    bench.tracker.handle_frames([bench.owner.say(501)[-1]])
    bench.time.pass_by(1)
    await bench.settle()
    assert bench.owner.resets == [("e", 501)]
    assert bench.owner.seqs == []
    bench.tracker.handle_frames(bench.owner.say())
    assert bench.owner.seqs == [502]


async def test_during_a_reset_nothing_is_delivered_and_nothing_is_lost(bench: Bench) -> None:
    owner = bench.owner
    may_end = asyncio.Event()

    async def reset(stream: str, position: Cursor) -> None:
        owner.resets.append(position)
        await may_end.wait()

    owner.reset = reset  # type: ignore[method-assign]  # a slower one
    bench.tracker.track(S, ("e", 0))
    bench.tracker.handle_frames([owner.say(501)[-1]])
    bench.time.pass_by(1)
    await bench.settle()
    bench.tracker.handle_frames(
        [*owner.say(2), owner.log[0]]
    )  # the last would be next, but for the reset
    assert owner.seqs == []
    may_end.set()
    await bench.settle()
    bench.time.pass_by(1)
    await bench.settle()
    assert owner.seqs == [502, 503]


async def test_a_reset_that_fails_is_repeated(bench: Bench) -> None:
    owner = bench.owner
    bench.tracker.track(S, ("old", 3))
    owner.say(2)
    real, failures = owner.reset, [ServiceUnavailable("chat", "away")] * 2

    async def reset(stream: str, position: Cursor) -> None:
        if failures:
            raise failures.pop()
        await real(stream, position)

    owner.reset = reset  # type: ignore[method-assign]  # a flaky one
    bench.tracker.handle_frames([owner.log[1]])
    await bench.settle()
    assert owner.resets == [("e", 2)]
    assert bench.tracker.position(S) == ("e", 2)


async def test_another_epoch_is_believed_only_if_the_owner_says_so(bench: Bench) -> None:
    bench.tracker.track(S, ("e", 0))
    bench.tracker.handle_frames(bench.owner.say(2))
    bench.tracker.handle_frames([frame(9, epoch="strange")])
    await bench.settle()
    assert bench.owner.resets == []
    assert bench.tracker.position(S) == ("e", 2)
    bench.owner.epoch, bench.owner.log = "new", []
    bench.tracker.handle_frames(bench.owner.say(1))
    await bench.settle()
    assert bench.owner.resets == [("new", 1)]
    assert bench.tracker.position(S) == ("new", 1)


async def test_frames_that_the_owner_never_knew_stop_nothing(bench: Bench) -> None:
    bench.tracker.track(S, ("e", 0))
    bench.tracker.handle_frames([frame(40)])
    bench.time.pass_by(1)
    await wait_until(lambda: len(bench.owner.asked) >= 4)
    await bench.settle()
    assert len(bench.owner.asked) < 8
    bench.tracker.handle_frames(bench.owner.say(2))
    assert bench.owner.seqs == [1, 2]


async def test_early_frames_beyond_the_bound_are_fetched_instead(bench: Bench) -> None:
    bench.owner.too_far = 10_000
    frames = bench.owner.say(1500)
    bench.tracker.track(S, ("e", 0))
    bench.tracker.handle_frames(frames[1:])
    bench.time.pass_by(1)
    await bench.settle()
    assert bench.owner.seqs == list(range(1, 1501))


async def test_a_forgotten_stream_is_not_fetched_any_more(bench: Bench) -> None:
    bench.owner.before_answer = asyncio.Event()
    bench.tracker.track(S, ("e", 0))
    bench.tracker.handle_frames([bench.owner.say(2)[1]])
    bench.time.pass_by(1)
    await bench.settle()
    bench.tracker.drop_stream(S)
    bench.owner.before_answer.set()
    await bench.settle()
    assert bench.owner.seqs == []
    assert bench.tracker.position(S) is None
    bench.tracker.track(S, ("e", 2))
    bench.tracker.handle_frames(bench.owner.say())
    assert bench.owner.seqs == [3]


async def test_closing_ends_what_is_under_way(bench: Bench) -> None:
    bench.owner.before_answer = asyncio.Event()
    bench.tracker.track(S, ("e", 0))
    bench.tracker.handle_frames([bench.owner.say(2)[1]])
    bench.time.pass_by(1)
    await bench.settle()
    await bench.tracker.aclose()
    assert [task for task in asyncio.all_tasks() if task.get_name() == "heal"] == []


@settings(max_examples=200, deadline=None)
@given(
    count=st.integers(1, 40),
    seed=st.integers(0, 2**32),
    lost=st.floats(0, 0.5),
    doubled=st.floats(0, 0.5),
)
def test_whatever_the_bus_does_everything_arrives_in_order_and_once(
    count: int, seed: int, lost: float, doubled: float
) -> None:
    async def story() -> None:
        bench, chance = make_bench(), random.Random(seed)
        bench.tracker.track(S, ("e", 0))
        frames = bench.owner.say(count)
        on_the_bus = [f for f in frames if chance.random() >= lost]
        on_the_bus += [f for f in on_the_bus if chance.random() < doubled]
        chance.shuffle(on_the_bus)
        while on_the_bus:
            size = chance.randint(1, 5)
            bench.tracker.handle_frames(on_the_bus[:size])
            del on_the_bus[:size]
            if chance.random() < 0.3:
                bench.time.pass_by(0.06)
                await asyncio.sleep(0)
        bench.tracker.expect(S, ("e", count))
        bench.time.pass_by(1)
        await bench.settle()
        assert bench.owner.seqs == list(range(1, count + 1))
        await bench.tracker.aclose()

    asyncio.run(story())
