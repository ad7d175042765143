"""What is pushed next, and how much at a time."""

from uuid import uuid4

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from sharezync_gateway.transfers.core.chunks import Place
from sharezync_gateway.transfers.socket.chunk_scheduler import ChunkScheduler
from sharezync_shared.contracts.transfer import FileShape
from sharezync_shared.ranges import Ranges


def shape(size: int, chunk: int = 10) -> FileShape:
    return FileShape(uuid4(), size, chunk, -(-size // chunk))


def taken(agenda: ChunkScheduler) -> list[Place]:
    places = []
    while (place := agenda.next_chunk()) is not None:
        places.append(place)
    return places


def test_nothing_is_sent_before_it_is_stored() -> None:
    agenda = ChunkScheduler({0: shape(35)}, {}, 1000)
    assert taken(agenda) == []
    assert agenda.uncertain() == [0]
    assert agenda.learn(0, Ranges([(2, 3)]))
    assert taken(agenda) == [(0, 2), (0, 3)]
    assert not agenda.learn(0, Ranges([(2, 3)]))


def test_what_is_held_is_not_sent_again() -> None:
    agenda = ChunkScheduler(
        {0: shape(40), 1: shape(10)}, {0: Ranges([(0, 1)]), 1: Ranges([(0, 0)])}, 1000
    )
    agenda.learn(0, Ranges.whole(4))
    agenda.learn(1, Ranges.whole(1))
    assert taken(agenda) == [(0, 2), (0, 3)]


def test_credit_is_in_bytes_and_comes_back_with_acknowledgements() -> None:
    agenda = ChunkScheduler({0: shape(55)}, {}, 30)
    agenda.learn(0, Ranges.whole(6))
    assert taken(agenda) == [(0, 0), (0, 1), (0, 2)]
    assert agenda.blocked
    assert agenda.confirm(0, Ranges([(0, 1)]))
    assert taken(agenda) == [(0, 3), (0, 4)]
    assert agenda.in_flight_bytes == 30
    agenda.confirm(0, Ranges([(0, 4)]))
    assert taken(agenda) == [(0, 5)]
    assert agenda.in_flight_bytes == 5
    assert not agenda.finished
    agenda.confirm(0, Ranges.whole(6))
    assert agenda.finished


def test_one_chunk_may_always_be_on_its_way() -> None:
    agenda = ChunkScheduler({0: shape(20)}, {}, 0)
    agenda.learn(0, Ranges.whole(2))
    assert taken(agenda) == [(0, 0)]


def test_what_can_not_be_had_is_sent_when_it_is_there() -> None:
    agenda = ChunkScheduler({0: shape(10)}, {}, 100)
    agenda.learn(0, Ranges.whole(1))
    assert taken(agenda) == [(0, 0)]
    agenda.put_back((0, 0))
    assert (taken(agenda), agenda.uncertain(), agenda.in_flight_bytes) == ([], [0], 0)
    assert agenda.learn(0, Ranges.whole(1))
    assert taken(agenda) == [(0, 0)]


def test_what_a_receiver_has_from_elsewhere_is_not_sent() -> None:
    agenda = ChunkScheduler({0: shape(30)}, {}, 100)
    agenda.learn(0, Ranges.whole(3))
    assert agenda.confirm(0, Ranges([(1, 2)]))
    assert taken(agenda) == [(0, 0)]


def test_empty_files_are_nothing_to_do() -> None:
    assert ChunkScheduler({0: shape(0)}, {}, 100).finished


class AgendaModel(RuleBasedStateMachine):
    """Against sets of places: nothing is sent twice, unstored, held or beyond the window."""

    SIZES = (35, 0, 20, 9)
    WINDOW = 25

    def __init__(self) -> None:
        super().__init__()
        self.shapes = {file: shape(size) for file, size in enumerate(self.SIZES)}
        self.agenda = ChunkScheduler(self.shapes, {}, self.WINDOW)
        self.everything = {(f, i) for f, s in self.shapes.items() for i in range(s.chunk_count)}
        self.stored: set[Place] = set()
        self.held: set[Place] = set()
        self.in_flight: set[Place] = set()
        self.lost: set[Place] = set()

    places = st.tuples(st.integers(0, 3), st.integers(0, 3))

    @rule(place=places)
    def store(self, place: Place) -> None:
        if place in self.everything:
            news = self.agenda.learn(place[0], Ranges([(place[1], place[1])]))
            waiting = place not in self.held | self.in_flight
            assert news == waiting
            if waiting:
                self.lost.discard(place)
            self.stored.add(place)

    @rule()
    def take(self) -> None:
        ready = self.stored - self.held - self.in_flight - self.lost
        place = self.agenda.next_chunk()
        if place is None:
            assert not ready or self.agenda.blocked
            return
        assert place == min(ready)
        self.in_flight.add(place)
        assert self.bytes_in_flight <= self.WINDOW or len(self.in_flight) == 1

    @rule(place=places)
    def acknowledge(self, place: Place) -> None:
        if place in self.everything:
            self.agenda.confirm(place[0], Ranges([(place[1], place[1])]))
            self.held.add(place)
            self.in_flight.discard(place)

    @rule(place=places)
    def fail_to_fetch(self, place: Place) -> None:
        if place in self.in_flight:
            self.agenda.put_back(place)
            self.in_flight.discard(place)
            self.lost.add(place)

    @property
    def bytes_in_flight(self) -> int:
        return sum(self.shapes[file].length(index) for file, index in self.in_flight)

    @invariant()
    def agrees(self) -> None:
        assert self.agenda.in_flight_bytes == self.bytes_in_flight
        assert self.agenda.finished == (self.held >= self.everything)


TestAgendaModel = AgendaModel.TestCase
