import asyncio

from sharezync_shared.events.batch_queue import BatchQueue


class Sink:
    """Notes batches; each waits until it may go on."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.go_on = asyncio.Event()

    async def __call__(self, batch: list[int]) -> None:
        self.batches.append(batch)
        await self.go_on.wait()
        if 13 in batch:
            raise RuntimeError("unlucky")


async def turn() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


async def test_what_comes_in_one_turn_goes_together_and_what_comes_later_waits() -> None:
    sink = Sink()
    lane = BatchQueue(sink, name="test", capacity=100)
    lane.put([1, 2])
    lane.put([3])
    await turn()
    lane.put([4])
    lane.put([5])
    await turn()
    assert sink.batches == [[1, 2, 3]]

    sink.go_on.set()
    await lane.drained()
    assert sink.batches == [[1, 2, 3], [4, 5]]


async def test_what_is_gathered_waits_for_more_and_goes_at_once_when_the_lane_is_drained() -> None:
    sink = Sink()
    sink.go_on.set()
    lane = BatchQueue(sink, name="test", capacity=100, gather_seconds=3600)
    lane.put([1])
    await turn()
    lane.put([2])
    await turn()
    assert sink.batches == []
    await lane.drained()
    assert sink.batches == [[1, 2]]


async def test_batches_have_a_limit_and_may_run_side_by_side() -> None:
    sink = Sink()
    lane = BatchQueue(sink, name="test", capacity=100, max_batch=2, parallel=2)
    lane.put([1, 2, 3, 4, 5])
    await turn()
    assert sink.batches == [[1, 2], [3, 4]]
    sink.go_on.set()
    await lane.drained()
    assert sink.batches == [[1, 2], [3, 4], [5]]


async def test_a_full_lane_takes_no_more_until_something_is_done() -> None:
    sink = Sink()
    lane = BatchQueue(sink, name="test", capacity=10, weigh=lambda item: item)
    assert lane.put([6])
    await turn()
    assert not lane.put([3, 2])
    assert lane.put([4])
    assert not lane.put([1])
    sink.go_on.set()
    await lane.drained()
    assert lane.put([10])
    await lane.drained()


async def test_one_item_beyond_the_capacity_goes_when_nothing_else_does() -> None:
    sink = Sink()
    sink.go_on.set()
    lane = BatchQueue(sink, name="test", capacity=10, weigh=lambda item: item)
    assert lane.put([1000])
    await lane.drained()
    assert sink.batches == [[1000]]


async def test_a_failing_batch_is_its_own_loss() -> None:
    sink = Sink()
    sink.go_on.set()
    lane = BatchQueue(sink, name="test", capacity=1, weigh=lambda _: 1)
    lane.put([13])
    await lane.drained()
    assert lane.put([14])
    await lane.drained()
    assert sink.batches == [[13], [14]]


async def test_closing_drops_what_waits_and_ends_what_runs() -> None:
    sink = Sink()
    lane = BatchQueue(sink, name="test", capacity=100)
    lane.put([1])
    await turn()
    lane.put([2])
    await lane.aclose()
    await turn()
    assert sink.batches == [[1]]
    await lane.drained()
