"""What h11 makes of a client's bytes: which requests they are, and how they end.

h11 is the reference for framing only. It answers every request at once, takes no offer to upgrade,
and closes where HTTP says so.
"""

from dataclasses import dataclass
from typing import Literal

import h11

_MAX_HEAD_BYTES = 1024 * 1024


@dataclass(frozen=True)
class Seen:
    """A request as the reference reads it."""

    method: str
    target: str
    version: str
    fields: tuple[tuple[str, str], ...]
    """Names in lower case."""
    body: bytes

    def field(self, name: str) -> str:
        """Return the value of its first field of this name; an empty one where it has none."""
        return next((value for known, value in self.fields if known == name), "")

    @property
    def mark(self) -> str:
        """What its answer must carry."""
        return self.field("x-request-id")


@dataclass(frozen=True)
class Reading:
    """What a whole stream amounts to."""

    requests: tuple[Seen, ...]
    """Those that came whole, in order: each has an answer to come."""
    ended: Literal["closed", "refused", "open"]
    """By the last request's wish; by an error; or more could follow."""
    begun: Seen | None
    """A request whose head came and whose end did not, with as much of its body as came."""
    error: str = ""


def read(stream: bytes) -> Reading:
    """Read what one client sent on one connection."""
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=_MAX_HEAD_BYTES)
    connection.receive_data(stream)
    requests: list[Seen] = []
    head: h11.Request | None = None
    body = bytearray()

    def reading(ended: Literal["closed", "refused", "open"], error: str = "") -> Reading:
        begun = None if head is None else _seen(head, bytes(body))
        return Reading(tuple(requests), ended, begun, error)

    while True:
        try:
            event = connection.next_event()
        except h11.RemoteProtocolError as refused:
            return reading("refused", str(refused))
        if isinstance(event, h11.Request):
            head = event
            body.clear()
        elif isinstance(event, h11.Data):
            body += event.data
        elif isinstance(event, h11.EndOfMessage):
            assert head is not None
            requests.append(_seen(head, bytes(body)))
            head = None
            connection.send(h11.Response(status_code=404, headers=[("Content-Length", "0")]))
            connection.send(h11.EndOfMessage())
            if connection.our_state is h11.MUST_CLOSE:
                return reading("closed")
            connection.start_next_cycle()
        else:
            return reading("open")


def _seen(head: h11.Request, body: bytes) -> Seen:
    return Seen(
        method=head.method.decode(),
        target=head.target.decode(),
        version=head.http_version.decode(),
        fields=tuple((name.decode(), value.decode("latin-1")) for name, value in head.headers),
        body=body,
    )
