"""Who gives a slot up where all are taken."""

import pytest

from sharezync_shared.fair_slots import CRAWL_BYTES_PER_SECOND, SAMPLE_SECONDS, FairSlot, end_one


def slots(*callers: str) -> list[FairSlot]:
    return [FairSlot(caller, lambda: None, 0.0) for caller in callers]


def ended(those: list[FairSlot]) -> list[int]:
    return [place for place, slot in enumerate(those) if slot.ended]


def test_who_has_most_gives_the_slowest_up() -> None:
    those = slots("a", "b", "a", "a", "b")
    for slot, moved in zip(those, (9, 1, 5, 7, 1), strict=True):
        slot.moved_bytes = moved * 10**6
    assert end_one(those, "c", SAMPLE_SECONDS)
    assert ended(those) == [2], "b is slower, and has fewer"


@pytest.mark.parametrize(
    ("callers", "newcomer", "gives_way"),
    [
        ("aa", "b", True),
        ("ab", "c", False),
        ("aab", "b", False),
        ("aaab", "b", True),
        ("", "a", False),
    ],
)
def test_young_requests_give_way_until_shares_are_even(
    callers: str, newcomer: str, gives_way: bool
) -> None:
    those = slots(*callers)
    assert end_one(those, newcomer, 0.1) is gives_way
    assert [those[place].caller for place in ended(those)] == ["a"] * gives_way


def test_who_crawls_gives_way_to_anybody() -> None:
    those = slots("a", "b")
    those[0].moved_bytes = int(CRAWL_BYTES_PER_SECOND * SAMPLE_SECONDS)
    those[1].moved_bytes = those[0].moved_bytes - 1
    assert not end_one(those, "c", SAMPLE_SECONDS - 0.01), "too early to tell"
    assert end_one(those, "a", SAMPLE_SECONDS)
    assert ended(those) == [1]
    assert not end_one(those, "c", SAMPLE_SECONDS)


def test_one_that_was_asked_to_end_is_asked_once() -> None:
    asked: list[str] = []
    those = [FairSlot("a", lambda: asked.append("a"), 0.0) for _ in range(3)]
    results = [end_one(those, "b", 0.0) for _ in range(3)]
    assert (results, asked) == ([True, True, False], ["a", "a"])
