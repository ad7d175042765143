"""A process that hangs: the kernel takes its requests, and it never answers them.

`make test` has the services that most depend on; `make torture`, by KILLS=all, has all of them.
"""

import asyncio
import os
import signal
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from sharezync_testkit.drilled_fleet import DrilledFleet
from tests.blackbox.people import Person
from tests.fleet.crowd import Crowd, tell, until

pytestmark = pytest.mark.timeout(120)

PATHS = {
    "auth": "/v1/users/me",
    "chat": "/v1/channels",
    "transfer": "/v1/transfers",
    "storage": "/v1/files",
}
HANGING = PATHS if os.environ.get("KILLS") == "all" else ("auth", "chat")
HELD_SECONDS = 15
"""Half of the time limit of a request: what is told before was told because nothing lives."""
AT_ONCE_SECONDS = 3
"""Sooner than one that is asked about anew."""


@contextmanager
def stopped(fleet: DrilledFleet, service: str) -> Generator[None]:
    """Stop the process that gateway-0 calls, and let it go on afterwards."""
    replica = fleet.replicas[service][0]
    replica.signal(signal.SIGSTOP)
    try:
        yield
    finally:
        replica.signal(signal.SIGCONT)


class Log:
    """What gateway-0 writes from now on."""

    def __init__(self, fleet: DrilledFleet) -> None:
        self._path: Path = fleet.logs_dir / "gateway-0.log"
        self._from = self._path.stat().st_size

    def lines(self, hint: str) -> list[str]:
        written = self._path.read_bytes()[self._from :].decode()
        return [line for line in written.splitlines() if hint in line]


async def timed(person: Person, path: str) -> tuple[httpx.Response, float]:
    began = time.monotonic()
    return await person.http.get(path), time.monotonic() - began


@pytest.mark.parametrize("service", HANGING)
async def test_a_service_that_hangs_is_told_of_soon_and_then_at_once(
    crowd: Crowd, fleet: DrilledFleet, service: str
) -> None:
    ada = await crowd.register("ada")
    channel_id = await ada.channel()
    for path in PATHS.values():  # each service has had what it needs of auth
        assert (await ada.http.get(path)).status_code == 200
    log = Log(fleet)
    async with ada.connected() as socket:
        with stopped(fleet, service):
            messages = f"/v1/channels/{channel_id}/messages"
            (answer, seconds), command, said = await asyncio.gather(
                timed(ada, PATHS[service]),
                socket.command("send_message", channel_id=channel_id, text="by socket"),
                ada.http.post(messages, json={"text": "by REST"}),
            )
            assert seconds < HELD_SECONDS
            now, at_once = await timed(ada, PATHS[service])
            assert (now.status_code, now.json()["code"]) == (503, "unavailable")
            assert at_once < AT_ONCE_SECONDS
            for refused in (answer, now, *([said] if service == "chat" else [])):
                assert refused.status_code in {503, 504}
                assert int(refused.headers["retry-after"]) >= 1
            if service == "chat":
                assert (command["code"], command["retryable"]) == ("unavailable", True)
            async with ada.connected("tablet"):  # what can't be asked now is asked later
                pass
            others = [path for name, path in PATHS.items() if name != service]
            assert {(await ada.http.get(path)).status_code for path in others} == {200}

        async def is_back() -> bool:
            return (await ada.http.get(PATHS[service])).status_code == 200

        back = await until(is_back)
    texts = [message["text"] for message in (await ada.get(messages))["items"]]
    assert len(texts) == len(set(texts)), "a POST that was sent isn't sent again"
    began = log.lines('"event": "service_not_answering"')
    assert len(began) <= 1, "none, if another test's outage is not over yet"
    assert not log.lines('"level": "error"')
    assert not log.lines("exc_type")
    tell(f"{service} hung: told, told at once, back after", [seconds, at_once, back])
