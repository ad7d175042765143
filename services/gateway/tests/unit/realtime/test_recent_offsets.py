"""What passed by unnoticed, for some seconds."""

import pytest

from sharezync_gateway.realtime.tracker import REMEMBER_SECONDS, RecentOffsets


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_the_furthest_position_is_remembered() -> None:
    sightings = RecentOffsets(Clock())
    for seq in (4, 7, 5):
        sightings.note("a", ("e", seq))
    assert sightings.latest("a") == ("e", 7)
    assert sightings.latest("b") is None
    sightings.note("a", ("f", 1))
    assert sightings.latest("a") == ("f", 1)


@pytest.mark.parametrize("age_seconds", [0, 3, 8, 14])
def test_it_is_remembered_for_long_enough_and_then_forgotten(age_seconds: float) -> None:
    clock = Clock()
    sightings = RecentOffsets(clock)
    clock.now += age_seconds  # wherever in a period it is noted
    sightings.note("a", ("e", 1))
    clock.now += REMEMBER_SECONDS - 0.1
    sightings.note("b", ("e", 1))
    assert sightings.latest("a") == ("e", 1)
    clock.now += REMEMBER_SECONDS + 0.2
    assert sightings.latest("a") is None
    clock.now += 2 * REMEMBER_SECONDS
    assert sightings.latest("b") is None
