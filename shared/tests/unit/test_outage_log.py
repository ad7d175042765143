"""An outage is told once, and then once in a while."""

import asyncio

import pytest

from sharezync_shared import outage_log
from sharezync_shared.outage_log import OutageLog
from sharezync_testkit.lines import Lines
from sharezync_testkit.waiting import wait_until


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Lines:
    return Lines.capture(outage_log, monkeypatch)


async def test_the_first_failure_is_told_and_the_others_are_counted(lines: Lines) -> None:
    outage = OutageLog("chat_away", every_seconds=0.05, upstream="chat")
    for number in range(100):
        outage.failed(ConnectionError("no"), number=number)
    first = {
        "level": "warning",
        "event": "chat_away",
        "upstream": "chat",
        "error": "ConnectionError('no')",
    }
    assert lines.written == [{**first, "number": 0}]
    await wait_until(lambda: len(lines.written) > 1)
    assert lines.written[1:] == [
        {"level": "warning", "event": "chat_away", "upstream": "chat", "more": 99, "seconds": 0.05}
    ]


async def test_after_a_time_without_failures_the_next_is_told_again(lines: Lines) -> None:
    outage = OutageLog("chat_away", every_seconds=0.02)
    outage.failed("no")
    await asyncio.sleep(0.1)
    outage.failed("no")
    assert [line["error"] for line in lines.written] == ["no", "no"]
