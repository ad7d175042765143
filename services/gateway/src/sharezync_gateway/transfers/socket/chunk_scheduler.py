"""What is still to be pushed to one receiver, and how much may be on its way. Pure."""

from collections.abc import Mapping

from sharezync_gateway.transfers.core.chunks import Place
from sharezync_shared.contracts.transfer import FileShape
from sharezync_shared.ranges import Ranges


class ChunkScheduler:
    """The chunks of the accepted files: held by the receiver, on their way, stored, or not yet.

    A chunk is given out by `take` once it is known to be stored, the lowest first, as long as no
    more than `window_bytes` are unacknowledged; one chunk may always be on its way.
    """

    def __init__(
        self, files: Mapping[int, FileShape], confirmed: Mapping[int, Ranges], window_bytes: int
    ) -> None:
        self.files = dict(files)
        self.window_bytes = window_bytes
        self.in_flight_bytes = 0
        self._in_flight: dict[Place, int] = {}
        self._todo: dict[int, Ranges] = {}
        """Neither held nor on their way."""
        self._ready: dict[int, Ranges] = {}
        """Of those, what is known to be stored."""
        for file, shape in files.items():
            todo = Ranges.whole(shape.chunk_count) - confirmed.get(file, Ranges())
            if todo:
                self._todo[file] = todo

    @property
    def finished(self) -> bool:
        """Whether the receiver holds everything."""
        return not self._todo and not self._in_flight

    @property
    def blocked(self) -> bool:
        """Whether something could be sent, and only credit is missing."""
        place = self._next()
        return place is not None and not self._has_room(place)

    @property
    def ready_bytes(self) -> int:
        """How much could be sent as soon as there is credit; a short last chunk counts as whole."""
        return sum(
            stored.count * self.files[file].chunk_size_bytes for file, stored in self._ready.items()
        )

    @property
    def doubtful(self) -> bool:
        """Whether there are chunks to send that aren't known to be stored."""
        return any(map(self._is_uncertain, self._todo))

    def uncertain(self) -> list[int]:
        """Return the files that such chunks belong to, in order."""
        return sorted(filter(self._is_uncertain, self._todo))

    def learn(self, file: int, stored: Ranges) -> bool:
        """Note that chunks are stored; True if one of them is still to be sent."""
        todo = self._todo.get(file)
        news = stored & todo if todo else Ranges()
        if not news:
            return False
        self._ready[file] = self._ready.get(file, Ranges()) | news
        return True

    def next_chunk(self) -> Place | None:
        """Give out the next chunk to send; None while there is none, or no credit."""
        place = self._next()
        if place is None or not self._has_room(place):
            return None
        file, index = place
        self._discard(self._ready, file, index)
        self._discard(self._todo, file, index)
        length = self.files[file].length(index)
        self._in_flight[place] = length
        self.in_flight_bytes += length
        return place

    def put_back(self, place: Place) -> None:
        """Take back a chunk that could not be had: it isn't stored, for all we know."""
        length = self._in_flight.pop(place, None)
        if length is not None:
            self.in_flight_bytes -= length
            self._todo.setdefault(place[0], Ranges()).add(place[1])

    def confirm(self, file: int, confirmed: Ranges) -> bool:
        """Note that the receiver holds chunks; True if that is news.

        Also chunks that were never sent here: the receiver must know.
        """
        arrived = [place for place in self._in_flight if place[0] == file and place[1] in confirmed]
        for place in arrived:
            self.in_flight_bytes -= self._in_flight.pop(place)
        known = bool(arrived)
        todo = self._todo.get(file)
        if todo is not None and todo & confirmed:
            known = True
            self._keep(self._todo, file, todo - confirmed)
            self._keep(self._ready, file, self._ready.get(file, Ranges()) - confirmed)
        return known

    def _is_uncertain(self, file: int) -> bool:
        ready = self._ready.get(file)
        return ready is None or ready != self._todo[file]

    def _has_room(self, place: Place) -> bool:
        length = self.files[place[0]].length(place[1])
        return not self._in_flight or self.in_flight_bytes + length <= self.window_bytes

    def _next(self) -> Place | None:
        if not self._ready:
            return None
        file = min(self._ready)
        index = self._ready[file].first
        return None if index is None else (file, index)

    @staticmethod
    def _discard(sets: dict[int, Ranges], file: int, index: int) -> None:
        found = sets[file]
        found.remove(index)
        if not found:
            del sets[file]

    @staticmethod
    def _keep(sets: dict[int, Ranges], file: int, rest: Ranges) -> None:
        if rest:
            sets[file] = rest
        else:
            sets.pop(file, None)
