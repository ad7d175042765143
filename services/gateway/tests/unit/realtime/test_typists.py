"""How often typing goes out, and what is remembered for that."""

from collections.abc import Callable
from typing import cast

from prometheus_client import CollectorRegistry

from sharezync_gateway.realtime.connection import Connection
from sharezync_gateway.realtime.hub import Hub
from sharezync_gateway.realtime.interest import Interests
from sharezync_gateway.realtime.metrics import SocketMetrics
from sharezync_gateway.realtime.service_calls import ServiceCalls
from sharezync_gateway.realtime.signals import SharingContext, Signals
from sharezync_gateway.realtime.socket_limits import SocketLimits
from sharezync_gateway.realtime.typists import MOST_CHANNELS, Typists
from sharezync_gateway.realtime.visibility import Viewers


class Said:
    """In the place of `Signals`."""

    def __init__(self) -> None:
        self.streams: list[str] = []

    def broadcast(self, stream: str, text: bytes) -> None:
        self.streams.append(stream)


class Typist:
    def __init__(self, conn_id: str, user_id: str) -> None:
        self.id = conn_id
        self.user_id = user_id


def typists_saying(said: Said, clock: Callable[[], float]) -> Typists:
    context = SharingContext(
        hub=cast("Hub", None),
        calls=cast("ServiceCalls", None),
        interests=Interests(),
        signals=cast("Signals", said),
        metrics=SocketMetrics(CollectorRegistry()),
        limits=SocketLimits(typing_seconds=3),
    )
    return Typists(context, Viewers(context.calls, clock), clock)


def test_once_in_three_seconds_for_each_user_and_channel() -> None:
    now = 100.0
    said = Said()
    typists = typists_saying(said, lambda: now)
    phone, laptop = (cast("Connection", Typist(name, "u")) for name in ("phone", "laptop"))
    other = cast("Connection", Typist("other", "v"))
    typists.broadcast(phone, "c")
    now += 2.9
    typists.broadcast(phone, "c")
    typists.broadcast(phone, "d")
    typists.broadcast(laptop, "c")
    typists.broadcast(other, "c")
    assert said.streams == ["typing:c:u", "typing:d:u", "typing:c:v"]
    now += 0.1
    typists.broadcast(phone, "c")
    typists.broadcast(phone, "d")
    assert said.streams[3:] == ["typing:c:u"]
    for number in range(1000):
        typists.broadcast(cast("Connection", Typist(str(number), "u")), "c")
    now += 3
    typists.broadcast(phone, "e")
    assert len(typists._lately) == 1  # what is over was forgotten
    assert typists._channels == {"u": 1}


def test_nobody_types_in_a_thousand_channels() -> None:
    now = 100.0
    said = Said()
    typists = typists_saying(said, lambda: now)
    phone = cast("Connection", Typist("phone", "u"))
    for number in range(1000):
        typists.broadcast(phone, str(number))
    assert len(said.streams) == len(typists._lately) == MOST_CHANNELS
    now += 3
    typists.broadcast(phone, "another")
    assert len(said.streams) == MOST_CHANNELS + 1
