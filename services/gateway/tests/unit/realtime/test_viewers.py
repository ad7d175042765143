"""What is kept of who may see whom, and for how long."""

import asyncio
from collections.abc import Sequence
from typing import cast

from sharezync_gateway.realtime.service_calls import ServiceCalls, Sight
from sharezync_gateway.realtime.visibility import Viewers
from sharezync_shared.calls.client import ServiceUnavailable


class Services:
    """In the place of `ServiceCalls`."""

    def __init__(self) -> None:
        self.seeing: set[str] = set()
        self.hidden: set[str] = set()
        self.away = False
        self.answers = asyncio.Event()
        self.answers.set()
        self.now = 0.0
        self.known = Viewers(cast("ServiceCalls", self), lambda: self.now)

    async def viewers(self, user_id: str, other_ids: Sequence[str]) -> Sight:
        found = Sight(self.seeing & set(other_ids), self.hidden & set(other_ids))
        await self.answers.wait()
        if self.away:
            raise ServiceUnavailable("auth", "away")
        return found


async def test_an_answer_holds_for_those_who_were_asked_about_and_for_a_minute() -> None:
    services = Services()
    services.seeing, services.hidden = {"b", "d"}, {"c"}
    assert services.known.cached("a", ["b"]) is None
    await services.known.fetch("a", ["b", "c"])
    assert services.known.cached("a", ["b"]) == {"b"}
    assert services.known.cached("a", ["b", "d"]) is None
    await services.known.fetch("a", ["d"])
    assert services.known.cached("a", ["b", "c", "d"]) == {"b", "d"}
    services.now += 61
    assert services.known.cached("a", ["b"]) is None


async def test_a_change_ends_what_is_known_and_what_is_on_its_way() -> None:
    services = Services()
    await services.known.fetch("a", ["b"])
    services.answers.clear()
    asking = asyncio.create_task(services.known.fetch("a", ["b"]))
    await asyncio.sleep(0)
    services.known.invalidate(["a", "b"])
    services.answers.set()
    await asking
    assert services.known.cached("a", ["b"]) is None


async def test_a_change_between_others_ends_nothing() -> None:
    """Or two accounts that block each other in a loop would keep everybody from being heard."""
    services = Services()
    services.answers.clear()
    asking = asyncio.create_task(services.known.fetch("a", ["b"]))
    await asyncio.sleep(0)
    services.known.invalidate(["x", "y"])
    services.answers.set()
    await asking
    assert services.known.cached("a", ["b"]) == set()


async def test_without_an_answer_nothing_is_known() -> None:
    services = Services()
    services.away = True
    await services.known.fetch("a", ["b"])
    assert services.known.cached("a", ["b"]) is None


async def test_only_so_much_is_kept() -> None:
    services = Services()
    services.seeing = {"b"}
    for number in range(10_001):
        await services.known.fetch(str(number), ["b"])
    assert services.known.cached("0", ["b"]) is None
    assert services.known.cached("10000", ["b"]) == {"b"}
