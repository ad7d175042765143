"""How far back auth is asked for revocations, and what their being told again and again costs."""

from typing import cast
from uuid import UUID

import pytest
from prometheus_client import CollectorRegistry

from services.gateway.tests.api.realtime.registry import Registry
from sharezync_gateway.realtime.hub import Hub
from sharezync_gateway.realtime.metrics import SocketMetrics
from sharezync_gateway.realtime.revoking import RevocationPull, Revoker
from sharezync_gateway.realtime.service_calls import Revoked, ServiceCalls
from sharezync_shared.calls.client import ServiceUnavailable
from sharezync_shared.ids import uuid7
from sharezync_shared.tokens.verifier import Revocations

LIFETIME = 600


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


class Rig:
    def __init__(self) -> None:
        self.clock = Clock()
        self.auth = Registry()
        self.revocations = Revocations(access_lifetime_seconds=LIFETIME, clock=self.clock)
        metrics = SocketMetrics(CollectorRegistry())
        hub = Hub(metrics, on_empty=lambda _: None, on_left=lambda *_: None)
        self.pull = RevocationPull(
            cast("ServiceCalls", self.auth),
            Revoker(hub, self.revocations),
            period_seconds=0.5,
            metrics=metrics,
        )

    @property
    def asked(self) -> list[int]:
        return [call[1] for call in self.auth.asked if call[0] == "revocations"]


@pytest.fixture
def rig() -> Rig:
    return Rig()


async def test_the_first_question_is_about_a_whole_lifetime(rig: Rig) -> None:
    await rig.pull.pull(0.0)
    assert rig.asked == [LIFETIME]


async def test_later_ones_reach_back_before_the_last_that_was_answered(rig: Rig) -> None:
    await rig.pull.pull(0.0)
    await rig.pull.pull(0.5)
    rig.auth.away.add("auth")
    for now in (1.0, 30.0):
        with pytest.raises(ServiceUnavailable):
            await rig.pull.pull(now)
    rig.auth.away.clear()
    await rig.pull.pull(60.1)
    await rig.pull.pull(60.6)
    assert rig.asked[1:] == [1 + 5, 1 + 5, 30 + 5, 60 + 5, 1 + 5]


async def test_none_reaches_back_further_than_a_lifetime(rig: Rig) -> None:
    await rig.pull.pull(0.0)
    await rig.pull.pull(100_000.0)
    assert rig.asked == [LIFETIME, LIFETIME]


async def test_what_is_told_again_and_again_is_kept_once_and_forgotten_in_the_end(
    rig: Rig,
) -> None:
    sessions, users = ([str(uuid7()) for _ in range(50)] for _ in range(2))
    rig.auth.revoked = Revoked(sessions, users)
    for number in range(12):
        await rig.pull.pull(number / 2)
        rig.clock.now += 0.5
    assert len(rig.revocations) == 100
    rig.auth.revoked = Revoked()
    rig.clock.now += LIFETIME + 60
    rig.auth.revoked = Revoked([str(UUID(int=1))])
    await rig.pull.pull(10.0)
    rig.auth.revoked = Revoked(users=[str(UUID(int=2))])
    await rig.pull.pull(10.5)
    assert len(rig.revocations) == 2
