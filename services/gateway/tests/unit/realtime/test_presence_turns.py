"""What is known of a user is never overwritten by what is older, however late answers come."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from sharezync_gateway.realtime.connection import Connection
from sharezync_gateway.realtime.hub import Hub
from sharezync_gateway.realtime.interest import Interests
from sharezync_gateway.realtime.metrics import SocketMetrics
from sharezync_gateway.realtime.presence import PresenceTracker
from sharezync_gateway.realtime.service_calls import Present, ServiceCalls
from sharezync_gateway.realtime.signals import SharingContext, Signals
from sharezync_gateway.realtime.socket_limits import SocketLimits
from sharezync_shared.calls.client import ServiceUnavailable
from sharezync_shared.events.bus import Bus, BusUnavailable
from sharezync_shared.streams.frames import Frame
from sharezync_testkit.waiting import wait_until

COMES, GOES = b'{"online":true}', b'{"online":false}'


class Auth:
    """Answers when it is told to, with what was true when it was asked."""

    def __init__(self) -> None:
        self.online: set[str] = set()
        self.asked: list[tuple[Present, asyncio.Future[None]]] = []
        self.at_once = False

    async def presence(self, user_ids: Sequence[str]) -> Present:
        read = Present(frozenset(self.online & set(user_ids)))
        if not self.at_once:
            answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self.asked.append((read, answer))
            await answer
        return read

    def answer(self, number: int = 0) -> None:
        self.asked.pop(number)[1].set_result(None)


class Socket:
    """As much of a connection as presence sees."""

    closed = False

    def __init__(self) -> None:
        self.told: list[bytes] = []
        self.takes = True
        self._on_close: list[Callable[[Any], None]] = []

    def on_close(self, callback: Callable[[Any], None]) -> None:
        self._on_close.append(callback)

    def send_signal(self, payload: bytes) -> bool:
        if self.takes:
            self.told.append(payload)
        return self.takes


class Rig:
    def __init__(self) -> None:
        self.auth = Auth()
        self.interests = Interests()
        self.metrics = SocketMetrics(CollectorRegistry())
        context = SharingContext(
            hub=cast("Hub", None),
            calls=cast("ServiceCalls", self.auth),
            interests=self.interests,
            signals=Signals(cast("Bus", None)),
            metrics=self.metrics,
            limits=SocketLimits(presence_poll_seconds=3600, gather_seconds=0),
        )
        self.presence = PresenceTracker(context)
        self.socket = Socket()
        self.watcher = cast("Connection", self.socket)
        self.interests.add(self.watcher, users=["u"])

    @property
    def online(self) -> bool | None:
        return self.interests.watched["u"].online

    async def asks(self) -> asyncio.Task[None]:
        waiting = len(self.auth.asked)
        asking = asyncio.create_task(self.presence.ask(["u"]))
        await wait_until(lambda: len(self.auth.asked) > waiting)
        return asking

    async def doubts(self) -> None:
        """Wait until the question that a going leads to was asked."""
        waiting = len(self.auth.asked)
        await wait_until(lambda: len(self.auth.asked) > waiting)


@pytest.fixture
async def rig() -> AsyncGenerator[Rig]:
    rig = Rig()
    yield rig
    for _, answer in rig.auth.asked:
        answer.cancel()
    await rig.presence.aclose()


async def test_an_answer_read_before_somebody_came_is_out_of_date(rig: Rig) -> None:
    first = await rig.asks()
    rig.auth.answer()
    await first
    assert rig.online is False
    asking = await rig.asks()
    rig.presence.handle_broadcast("u", COMES)
    rig.auth.answer()
    await asking
    assert rig.online is True


async def test_an_answer_read_before_somebody_went_is_out_of_date(rig: Rig) -> None:
    rig.presence.handle_broadcast("u", COMES)
    rig.auth.online = {"u"}
    late = await rig.asks()
    rig.auth.online = set()
    rig.presence.handle_broadcast("u", GOES)
    await rig.doubts()
    rig.auth.answer(1)
    await wait_until(lambda: rig.online is False)
    rig.auth.answer()
    await late
    assert rig.online is False


async def test_of_two_answers_the_later_question_counts(rig: Rig) -> None:
    rig.auth.online = {"u"}
    older = await rig.asks()
    rig.auth.online = set()
    newer = await rig.asks()
    rig.auth.answer(1)
    await newer
    rig.auth.answer()
    await older
    assert rig.online is False


async def test_the_first_answer_counts_though_somebody_went_meanwhile(rig: Rig) -> None:
    rig.auth.online = {"u"}
    asking = await rig.asks()
    rig.auth.online = set()
    rig.presence.handle_broadcast("u", GOES)
    rig.auth.answer()
    await asking  # or there would be nothing to reply to the client
    assert rig.online is True
    await wait_until(lambda: rig.auth.asked)
    rig.auth.answer()
    await wait_until(lambda: rig.online is False)


async def test_going_is_asked_about_until_auth_answers(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig.presence.handle_broadcast("u", COMES)
    failures = 0

    async def fails(user_ids: Sequence[str]) -> Present:
        nonlocal failures
        failures += 1
        if failures < 3:
            raise ServiceUnavailable("auth", "away")
        return Present(frozenset())

    monkeypatch.setattr(rig.auth, "presence", fails)
    rig.presence.handle_broadcast("u", GOES)
    await wait_until(lambda: rig.online is False)
    assert failures == 3


async def test_what_a_client_could_not_be_told_is_told_with_the_next_answer(rig: Rig) -> None:
    rig.auth.at_once = True
    rig.interests.for_connection(rig.watcher).users["u"] = False
    rig.socket.takes = False
    rig.presence.handle_broadcast("u", COMES)
    rig.auth.online = {"u"}
    for _ in range(10):
        await asyncio.sleep(0)
    assert rig.interests.for_connection(rig.watcher).users["u"] is False
    rig.socket.takes = True
    await rig.presence.ask(["u"])
    await wait_until(lambda: rig.socket.told)
    assert rig.interests.for_connection(rig.watcher).users["u"] is True


async def test_a_client_hears_nothing_of_a_user_before_the_reply_says_how_it_is(rig: Rig) -> None:
    rig.presence.handle_broadcast("u", COMES)
    for _ in range(10):
        await asyncio.sleep(0)
    assert rig.socket.told == []
    interest = rig.interests.for_connection(rig.watcher)
    assert [each.online for each in rig.presence.shown(interest, ["u", "unknown"])] == [True]


class _Bus:
    def __init__(self) -> None:
        self.sent: list[list[Frame]] = []
        self.opens = asyncio.Event()
        self.away = False

    async def send_frames(self, frames: Sequence[Frame]) -> None:
        await self.opens.wait()
        if self.away:
            raise BusUnavailable("away")
        self.sent.append(list(frames))


async def test_signals_that_wait_are_said_once_with_what_was_last(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sharezync_gateway.realtime.signals._WAITING", 4)
    bus = _Bus()
    signals = Signals(cast("Bus", bus))
    signals.broadcast("presence:a", COMES)
    await asyncio.sleep(0)  # the first is on its way
    for user in "abc":
        signals.broadcast(f"presence:{user}", COMES)
    signals.broadcast("presence:a", GOES)
    signals.broadcast("presence:d", COMES)  # one too many
    bus.opens.set()
    await wait_until(lambda: len(bus.sent) == 2)
    assert [(f.stream, f.text, f.seq) for f in bus.sent[1]] == [
        ("presence:b", COMES, 0),
        ("presence:c", COMES, 0),
        ("presence:a", GOES, 0),
    ]
    bus.away = True
    signals.broadcast("presence:a", COMES)
    await signals._queue.drained()
    bus.away = False
    signals.broadcast("presence:b", COMES)
    await wait_until(lambda: len(bus.sent) == 3)
    signals.broadcast("presence:c", COMES)
    signals.broadcast("presence:c", GOES)
    await signals.aclose()
    assert [f.text for f in bus.sent[3]] == [GOES]  # the last words are said
    signals.broadcast("presence:b", COMES)
    assert not signals._queue, "it takes no more"


async def test_a_bus_that_takes_nothing_does_not_keep_signals_from_stopping(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sharezync_gateway.realtime.signals._LAST_WORDS_SECONDS", 0.01)
    bus = _Bus()
    signals = Signals(cast("Bus", bus))
    signals.broadcast("presence:a", GOES)
    await signals.aclose()
    assert bus.sent == []
    assert not signals._queue


_ids = st.sets(st.sampled_from("abc"))


@given(
    st.lists(
        st.tuples(st.integers(0, 2), st.sampled_from(["add", "drop", "end"]), _ids, _ids),
        max_size=30,
    )
)
def test_the_index_holds_what_connections_want_and_nothing_else(
    steps: list[tuple[int, str, set[str], set[str]]],
) -> None:
    interests = Interests()
    sockets = [Socket() for _ in range(3)]
    model: dict[int, tuple[set[str], set[str]]] = {}
    for number, act, users, channels in steps:
        connection = cast("Connection", sockets[number])
        has_users, has_channels = model.get(number, (set(), set()))
        if act == "add":
            interests.add(connection, users=users, channels=channels)
            model[number] = (has_users | users, has_channels | channels)
        elif act == "drop":
            interests.drop(connection, users=users, channels=channels)
            model[number] = (has_users - users, has_channels - channels)
        else:
            for callback in sockets[number]._on_close:
                callback(connection)
            sockets[number] = Socket()
            model.pop(number, None)
        watched = {
            user: {n for n, (wanted, _) in model.items() if user in wanted} for user in "abc"
        }
        listeners = {
            channel: {n for n, (_, wanted) in model.items() if channel in wanted}
            for channel in "abc"
        }
        index = {cast("Connection", socket): n for n, socket in enumerate(sockets)}
        assert {u: {index[c] for c in w.watchers} for u, w in interests.watched.items()} == {
            user: who for user, who in watched.items() if who
        }
        assert {c: {index[x] for x in who} for c, who in interests.listeners.items()} == {
            channel: who for channel, who in listeners.items() if who
        }
        assert len(sockets[number]._on_close) <= 1
