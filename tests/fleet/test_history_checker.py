"""The checker of histories finds every kind of broken promise, and nothing in a history without."""

from collections.abc import Callable

import pytest

from tests.fleet.history import Json, Reader, Writer, faults

KEYS = ["w-0", "w-1", "w-2"]


class Told:
    """One writer, one reader, three messages at 2, 3 and 4: nothing is wrong."""

    def __init__(self) -> None:
        self.writer = Writer("w")
        self.reader = Reader("r", 1, "e")
        self.history: list[Json] = []
        self.head = 4
        for seq, key in enumerate(KEYS, 2):
            self.writer.tried.append(key)
            self.writer.told(key, seq)
            self.reader.take(created(key, seq))
            self.history.append({"client_message_id": key, "seq": seq})

    @property
    def faults(self) -> list[str]:
        return faults([self.writer], [self.reader], self.history, self.head)


def created(key: str, seq: int, epoch: str = "e") -> Json:
    return {
        "type": "message.created",
        "epoch": epoch,
        "seq": seq,
        "data": {"client_message_id": key},
    }


def test_a_history_without_faults_has_none() -> None:
    told = Told()
    told.writer.tried.append("w-3")  # never acknowledged, and not there: that may be
    told.reader.take(created("w-2", 4))  # seen again: dropped
    assert told.faults == []
    assert told.reader.seen_again == 1


def test_what_comes_before_what_was_missed_is_passed_over_until_all_of_that_has_come() -> None:
    told = Told()
    told.reader = Reader("r", 1, "e", resuming=True)
    for seq in (4, 2, 3, 4):
        told.reader.take(created(KEYS[seq - 2], seq))
    told.reader.resumed({"result": "replayed", "events": 3})
    assert told.faults == []
    assert told.reader.passed_over == 1
    told.reader.take(created("w-9", 6))
    assert told.faults


def test_what_a_reset_leaves_out_is_refetched() -> None:
    told = Told()
    told.reader = Reader("r", 1, "e")
    told.reader.take(created("w-0", 2))
    told.reader.refetch({"epoch": "e", "seq": 3}, told.history[1:2])
    told.reader.take(created("w-2", 4))
    assert told.faults == []
    assert told.reader.refetched == 1


def lost(told: Told) -> None:
    del told.history[1]


def stands_elsewhere(told: Told) -> None:
    told.writer.acknowledged["w-1"] = 9


def doubled(told: Told) -> None:
    told.history.append({"client_message_id": "w-0", "seq": 5})


def out_of_order(told: Told) -> None:
    told.history.reverse()


def another_order(told: Told) -> None:
    told.writer.tried.reverse()


def made_up(told: Told) -> None:
    told.writer.tried.remove("w-1")


def contradicted(told: Told) -> None:
    told.writer.told("w-0", 7)


def reader_skipped(told: Told) -> None:
    told.reader.take(created("w-9", 6))


def reader_lacks(told: Told) -> None:
    del told.reader.keys[1]


def reader_behind(told: Told) -> None:
    told.head = 5


def reader_sent_away(told: Told) -> None:
    told.reader.resumed({"result": "gone"})


def another_epoch(told: Told) -> None:
    told.reader.take(created("w-2", 4, epoch="f"))


@pytest.mark.parametrize(
    ("breaks", "says"),
    [
        (lost, "w-1 was acknowledged and is lost"),
        (stands_elsewhere, "w-1 was acknowledged as 9 and stands at 3"),
        (doubled, "w-0 stands 2 times"),
        (out_of_order, "the history is not in the order of its seq"),
        (another_order, "what w said stands in another order"),
        (made_up, "w-1 was said by nobody"),
        (contradicted, "w was told 2 and 7 for w-0"),
        (reader_skipped, "r: 6 came after 4"),
        (reader_lacks, "r has another history; it lacks ['w-1']"),
        (reader_behind, "r ended at 4, the stream at 5"),
        (reader_sent_away, "r: was told that it is not on the stream"),
        (another_epoch, "r: epoch f at 4"),
    ],
    ids=lambda each: each.__name__ if callable(each) else "",
)
def test_each_broken_promise_is_found(breaks: Callable[[Told], None], says: str) -> None:
    told = Told()
    breaks(told)
    assert any(fault.startswith(says) for fault in told.faults), told.faults
