"""What is on its way to the server and not acknowledged, within the credit it gave. Pure."""

from collections.abc import Iterable

from sharezync.transfer.chunks import Place


class Window:
    """Counts the bytes on their way. One chunk may always be on its way.

    It opens slowly: at first to one chunk, and then by as much as is acknowledged. On a line that
    many use, what the others say (the recipient's answer above all) has that much less to wait for.
    """

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self.bytes = 0
        self._open_bytes = 0
        self._on_the_way: dict[Place, int] = {}

    def has_room(self, length_bytes: int) -> bool:
        room_bytes = min(self._open_bytes, self.limit_bytes) - self.bytes
        return not self._on_the_way or length_bytes <= room_bytes

    @property
    def empty(self) -> bool:
        return not self._on_the_way

    def sent(self, place: Place, length_bytes: int) -> None:
        self.bytes += length_bytes - self._on_the_way.get(place, 0)
        self._on_the_way[place] = length_bytes
        self._open_bytes = max(self._open_bytes, length_bytes)

    def acknowledged(self, file: int, next_index: int, indexes: Iterable[int] = ()) -> int:
        """Note what is stored for good; return how many bytes that frees."""
        beyond = set(indexes)
        stored = [
            place
            for place in self._on_the_way
            if place[0] == file and (place[1] < next_index or place[1] in beyond)
        ]
        freed_bytes = sum(map(self.settled, stored))
        self._open_bytes = min(self._open_bytes + freed_bytes, self.limit_bytes)
        return freed_bytes

    def settled(self, place: Place) -> int:
        """Note that a chunk is not on its way any more; return how many bytes that frees."""
        length = self._on_the_way.pop(place, 0)
        self.bytes -= length
        return length
