"""What comes down a socket, for who iterates over it. Pure."""

from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class StreamEventFrame:
    """Something happened: in its stream in order, without a gap, once."""

    type: str
    stream: str
    epoch: str
    seq: int
    at: str
    data: Json = field(repr=False)


@dataclass(frozen=True, slots=True)
class Signal:
    """Something is the case now (`typing`, `presence`, `progress_update`); may be lost."""

    type: str
    stream: str | None
    data: Json


@dataclass(frozen=True, slots=True)
class StreamReset:
    """What is known of this stream is out of date: fetch it again; it goes on after `seq`."""

    stream: str
    epoch: str
    seq: int


@dataclass(frozen=True, slots=True)
class Connected:
    """The socket is open, at first or again; subscriptions must be said again."""

    user_id: str
    device_id: str | None
    heads: dict[str, tuple[str, int]]


@dataclass(frozen=True, slots=True)
class Lost:
    """The socket broke; it is being opened again."""

    code: int
    reason: str


Incoming = StreamEventFrame | Signal | StreamReset | Connected | Lost
