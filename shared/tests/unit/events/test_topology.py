import pytest

from sharezync_shared.events.amqp.topology import QueueNames
from sharezync_shared.events.rabbitmq import _batches
from sharezync_shared.streams.frames import Frame, shard_of


def test_the_names_on_the_broker_are_those_of_the_documents() -> None:
    names = QueueNames()
    assert (names.events, names.realtime) == ("sharezync.events", "sharezync.realtime")
    assert names.unrouted == "sharezync.unrouted"
    assert names.queue("chat.events") == "chat.events"
    assert names.dead_letters("chat.events") == "chat.events.dlq"


def test_another_prefix_is_another_world() -> None:
    names = QueueNames("t1")
    assert names.events == "t1.events"
    assert names.queue("chat.events") == "t1.chat.events"
    assert names.dead_letters("chat.events") == "t1.chat.events.dlq"


@pytest.mark.parametrize(
    ("seconds", "name"),
    [(1, "1s"), (10, "10s"), (60, "1m"), (600, "10m"), (90, "90s"), (0.25, "250ms")],
)
def test_rungs_are_named_by_their_rest(seconds: float, name: str) -> None:
    assert QueueNames().retry("chat.events", seconds) == f"chat.events.retry.{name}"


def test_no_two_receivers_share_a_name() -> None:
    assert len({QueueNames().receiver() for _ in range(100)}) == 100


def test_frames_are_split_by_shard_in_order() -> None:
    frames = [Frame(f"channel:{seq % 3}", "e", seq, b"x") for seq in range(1, 31)]
    batches = _batches(frames)
    assert len(batches) == 3
    for shard, batch in batches:
        assert {shard_of(frame.stream) for frame in batch} == {shard}
        assert [frame.seq for frame in batch] == sorted(frame.seq for frame in batch)
    assert sum(len(batch) for _, batch in batches) == 30


def test_no_message_of_frames_grows_too_large() -> None:
    frames = [Frame("channel:1", "e", seq, bytes(1_000_000)) for seq in range(1, 11)]
    batches = _batches(frames)
    assert [len(batch) for _, batch in batches] == [4, 4, 2]
    assert [frame for _, batch in batches for frame in batch] == frames
