"""How fast something is, told from a few looks at it."""

from uuid import uuid4

from sharezync_transfer.usecases.progress_broadcast import TransferRates

A, B = uuid4(), uuid4()


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_steady_transfer_has_its_speed() -> None:
    clock = Clock()
    speeds = TransferRates(clock)
    assert speeds.sample(A, "stored", 0) == 0
    for second in range(1, 20):
        clock.now += 1
        assert speeds.sample(A, "stored", 1000 * second) == 1000


def test_what_was_long_ago_does_not_count() -> None:
    clock = Clock()
    speeds = TransferRates(clock)
    speeds.sample(A, "stored", 0)
    for _ in range(7):
        clock.now += 2
        speeds.sample(A, "stored", 10_000)
    assert speeds.sample(A, "stored", 10_000) == 0


def test_each_transfer_and_each_end_has_its_own_speed() -> None:
    clock = Clock()
    speeds = TransferRates(clock)
    for key in ((A, "stored"), (A, "received"), (B, "stored")):
        speeds.sample(*key, 0)
    clock.now += 1
    assert speeds.sample(A, "stored", 10) == 10
    assert speeds.sample(A, "received", 20) == 20
    assert speeds.sample(B, "stored", 30) == 30


def test_who_begins_anew_is_not_slower_than_nothing() -> None:
    clock = Clock()
    speeds = TransferRates(clock)
    speeds.sample(A, "stored", 5000)
    clock.now += 1
    assert speeds.sample(A, "stored", 0) == 0
    clock.now += 1
    assert speeds.sample(A, "stored", 100) == 100
