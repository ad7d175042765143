"""What a receiver of frames does where it can't learn what it has missed."""

import pytest

from sharezync_shared.events import receiver
from sharezync_shared.problems import Unavailable
from sharezync_testkit.lines import Lines
from sharezync_testkit.waiting import wait_until


@pytest.mark.parametrize(("error", "told"), [(Unavailable("auth is away"), 0), (KeyError(), 2)])
async def test_a_gap_is_told_again_and_an_outage_is_no_error(
    error: Exception, told: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receiver, "_FIRST_PAUSE_SECONDS", 0.01)
    lines = Lines.capture(receiver, monkeypatch)
    calls = 0

    async def on_gap() -> None:
        nonlocal calls
        calls += 1
        if calls <= 2:
            raise error

    ear = receiver.FrameReceiver(lambda _: None, on_gap)
    ear.gap()
    await wait_until(lambda: calls == 3)
    ear.stop()
    assert lines.count("frames_gap_failed") == told
