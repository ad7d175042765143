import asyncio

from sharezync_shared.batch_queue import BatchQueue
from sharezync_testkit.waiting import GIVE_UP_SECONDS


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
    queue = BatchQueue(sink, name="test", capacity=100)
    queue.put([1, 2])
    queue.put([3])
    await turn()
    queue.put([4])
    queue.put([5])
    await turn()
    assert sink.batches == [[1, 2, 3]]

    sink.go_on.set()
    await queue.drained()
    assert sink.batches == [[1, 2, 3], [4, 5]]


async def test_what_is_gathered_waits_for_more_and_goes_at_once_when_the_queue_is_drained() -> None:
    sink = Sink()
    sink.go_on.set()
    queue = BatchQueue(sink, name="test", capacity=100, gather_seconds=3600)
    queue.put([1])
    await turn()
    queue.put([2])
    await turn()
    assert sink.batches == []
    await queue.drained()
    assert sink.batches == [[1, 2]]


async def test_batches_have_a_limit_and_may_run_side_by_side() -> None:
    sink = Sink()
    queue = BatchQueue(sink, name="test", capacity=100, max_batch=2, parallel=2)
    queue.put([1, 2, 3, 4, 5])
    await turn()
    assert sink.batches == [[1, 2], [3, 4]]
    sink.go_on.set()
    await queue.drained()
    assert sink.batches == [[1, 2], [3, 4], [5]]


async def test_a_full_queue_takes_no_more_until_something_is_done() -> None:
    sink = Sink()
    queue = BatchQueue(sink, name="test", capacity=10, weigh=lambda item: item)
    assert queue.put([6])
    await turn()
    assert not queue.put([3, 2])
    assert queue.put([4])
    assert not queue.put([1])
    sink.go_on.set()
    await queue.drained()
    assert queue.put([10])
    await queue.drained()


async def test_one_item_beyond_the_capacity_goes_when_nothing_else_does() -> None:
    sink = Sink()
    sink.go_on.set()
    queue = BatchQueue(sink, name="test", capacity=10, weigh=lambda item: item)
    assert queue.put([1000])
    await queue.drained()
    assert sink.batches == [[1000]]


async def test_a_failing_batch_is_its_own_loss() -> None:
    sink = Sink()
    sink.go_on.set()
    queue = BatchQueue(sink, name="test", capacity=1, weigh=lambda _: 1)
    queue.put([13])
    await queue.drained()
    assert queue.put([14])
    await queue.drained()
    assert sink.batches == [[13], [14]]


async def test_closing_drops_what_waits_and_ends_what_runs() -> None:
    sink = Sink()
    queue = BatchQueue(sink, name="test", capacity=100)
    queue.put([1])
    await turn()
    queue.put([2])
    await queue.aclose()
    assert not queue.put([3])
    await turn()
    assert sink.batches == [[1]]
    await queue.drained()


async def test_what_waits_at_the_end_may_have_some_time() -> None:
    sink = Sink()
    queue = BatchQueue(sink, name="test", gather_seconds=3600)
    queue.put([1, 2])
    asyncio.get_running_loop().call_soon(sink.go_on.set)
    await queue.aclose(last_seconds=GIVE_UP_SECONDS)
    assert sink.batches == [[1, 2]]


async def test_batches_have_a_weight_and_what_weighs_more_goes_alone() -> None:
    sink = Sink()
    sink.go_on.set()
    queue = BatchQueue(sink, name="test", weigh=lambda item: item, max_batch_weight=10)
    queue.put([4, 6, 1, 99, 5, 5])
    await queue.drained()
    assert sink.batches == [[4, 6], [1], [99], [5, 5]]


async def test_of_one_key_the_latest_goes_and_weighs_once() -> None:
    sink = Sink()
    sink.go_on.set()
    queue = BatchQueue(sink, name="test", capacity=2, key=lambda item: item % 10)
    assert queue.put([1, 2])
    assert queue.put([11]), "it takes the place of another"
    assert not queue.put([3])
    assert len(queue) == 2
    await queue.drained()
    assert sink.batches == [[2, 11]]


async def test_an_item_that_is_its_own_key_goes_once_and_may_come_back_from_its_call() -> None:
    calls: list[list[str]] = []

    async def send(items: list[str]) -> None:
        calls.append(items)
        if len(calls) == 1:
            queue.put(items)

    queue = BatchQueue.of_keys(send, name="test", gather_seconds=3600)
    queue.put(["a", "b", "a"])
    queue.put(["b"])
    await queue.drained()
    assert calls == [["a", "b"], ["a", "b"]]
