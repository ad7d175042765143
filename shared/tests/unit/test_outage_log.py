"""An outage is told when it begins, and when it is over."""

import asyncio

import pytest

from sharezync_shared import outage_log
from sharezync_shared.outage_log import OutageLog
from sharezync_testkit.lines import Lines
from sharezync_testkit.waiting import wait_until


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Lines:
    return Lines.capture(outage_log, monkeypatch)


async def test_an_outage_is_one_line_when_it_begins_and_one_when_it_is_over(lines: Lines) -> None:
    outage = OutageLog("chat_away", upstream="chat")
    for number in range(100):
        outage.failed(ConnectionError("no"), number=number)
    await asyncio.sleep(0.15)
    assert lines.written == [
        {
            "level": "warning",
            "event": "chat_away",
            "upstream": "chat",
            "error": "ConnectionError('no')",
            "number": 0,
        }
    ]
    outage.over()
    outage.over()
    [told] = lines.written[1:]
    assert told.pop("seconds") >= 0.1
    assert told == {
        "level": "info",
        "event": "outage_over",
        "outage": "chat_away",
        "upstream": "chat",
        "failures": 100,
    }


async def test_after_a_time_without_failures_it_is_over_and_the_next_one_begins(
    lines: Lines,
) -> None:
    outage = OutageLog("chat_away", quiet_seconds=0.1)
    for _ in range(2):
        outage.failed("no")
        outage.failed("no")
        await wait_until(lambda: lines.written[-1]["event"] == "outage_over")
    assert [line["event"] for line in lines.written] == ["chat_away", "outage_over"] * 2
    assert [line["failures"] for line in lines.written[1::2]] == [2, 2]
