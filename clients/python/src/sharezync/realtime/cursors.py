"""Events of many streams, put in order: what was seen is dropped, a gap is noticed. Pure."""

from collections.abc import Mapping
from typing import Any, Final

Cursor = tuple[str, int]
"""A position in a stream: its epoch, and the last `seq` that was seen."""

_MOST_EARLY: Final = 1000
"""Events of one stream that are kept while those before them are fetched."""


class Cursors:
    """The position in each stream, for one client.

    By `apply_event` an event is delivered once and in the order of `seq`, as long as the server
    keeps its promise: a gap that is reported is closed by `replay`, or ends with `reset`.
    """

    def __init__(self, cursors: Mapping[str, Cursor] | None = None) -> None:
        self._seen: dict[str, Cursor] = {
            stream: (epoch, seq) for stream, (epoch, seq) in (cursors or {}).items()
        }
        self._early: dict[str, dict[int, dict[str, Any]]] = {}

    def all(self) -> dict[str, Cursor]:
        """Return the position in every stream, to go on from there later."""
        return dict(self._seen)

    def begin(self, heads: Mapping[str, Cursor]) -> None:
        """Let streams that are new here begin after these heads; others stay."""
        for stream, (epoch, seq) in heads.items():
            self._seen.setdefault(stream, (epoch, seq))

    def reset(self, stream: str, epoch: str, seq: int) -> None:
        """Let the stream go on after `seq` in `epoch`, whatever was seen."""
        self._seen[stream] = (epoch, seq)
        self._early.pop(stream, None)

    def drop_stream(self, stream: str) -> None:
        """Drop a stream that the user is not on any more."""
        self._seen.pop(stream, None)
        self._early.pop(stream, None)

    def disconnected(self) -> None:
        """Drop what came early: it comes again."""
        self._early.clear()

    def apply_event(self, event: dict[str, Any]) -> tuple[list[dict[str, Any]], int | None]:
        """Apply an event; return what may be delivered now, in order, and where there is a gap.

        The gap is the `seq` after which events are missing, returned once for each gap.
        """
        stream, epoch, seq = event["stream"], event["epoch"], event["seq"]
        seen = self._seen.get(stream)
        if seen is None or seen[0] != epoch:
            # A stream that began meanwhile; of another epoch only after a `reset`.
            self.reset(stream, epoch, seq)
            return [event], None
        if seq <= seen[1]:
            return [], None
        early = self._early.get(stream, {})
        if seq > seen[1] + 1:
            news = not early
            if len(early) < _MOST_EARLY:
                self._early.setdefault(stream, {})[seq] = event
            return [], seen[1] if news else None
        ready = [event]
        while (seq + 1) in early:
            seq += 1
            ready.append(early.pop(seq))
        self._seen[stream] = (epoch, seq)
        for late in [each for each in early if each <= seq]:
            del early[late]
        if stream in self._early and not early:
            del self._early[stream]
        return ready, None
