"""Somebody is removed and added again, over and over, while everyone posts through two replicas."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import httpx

from services.chat.tests.support.world import Json, Person, World, channel_stream

ROUNDS = 10


class Posting:
    """What was posted by whom, and whether it was acknowledged."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.acknowledged: list[str] = []
        self.running = True
        self._texts = 0

    async def by_rest(self, person: Person) -> bool:
        answer = await person.http.post(f"{self.path}/messages", json={"text": self._text()})
        return self._note(answer.status_code == 201, answer.json())

    async def by_socket(self, person: Person, gateway: httpx.AsyncClient) -> bool:
        data = {"channel_id": self.path.rpartition("/")[2], "text": self._text()}
        command = {"user_id": person.id, "kind": "send_message", "data": data}
        answer = await gateway.post("/internal/commands", json={"commands": [command]})
        (result,) = answer.json()["results"]
        if "problem" in result:
            return self._note(False, result["problem"])
        return self._note(True, result["data"])

    async def on_and_on(self, post: Callable[..., Awaitable[bool]], *args: Any) -> None:
        while self.running:
            await post(*args)

    def _text(self) -> str:
        self._texts += 1
        return f"message {self._texts}"

    def _note(self, acknowledged: bool, document: Json) -> bool:
        if acknowledged:
            self.acknowledged.append(document["id"])
        else:
            assert document["code"] == "not-found", document
        return acknowledged


async def test_nothing_reaches_or_comes_from_who_is_removed(world: World, second: World) -> None:
    ada, bob, cleo = await world.people("ada", "bob", "cleo")
    path = await ada.channel("private", bob, cleo)
    posting = Posting(path)
    adas, bobs = [[each, await second.same(each)] for each in (ada, bob)]
    cleos = [cleo, await second.same(cleo)]
    gateways = [await world.service(), await second.service()]
    removals: list[tuple[int, int]] = []
    async with asyncio.TaskGroup() as group:
        for here in range(2):
            for who in (adas[here], bobs[here], cleos[here]):
                group.create_task(posting.on_and_on(posting.by_rest, who))
                group.create_task(posting.on_and_on(posting.by_socket, who, gateways[here]))
        for turn in range(ROUNDS):
            away = await adas[turn % 2].http.delete(f"{path}/members/{bob.id}")
            for here in range(2):
                assert not await posting.by_rest(bobs[here]), "bob is out"
                assert not await posting.by_socket(bob, gateways[1 - here]), "bob is out"
            body = {"user_id": bob.id}
            back = await adas[(turn + 1) % 2].http.post(f"{path}/members", json=body)
            assert (away.status_code, back.status_code) == (204, 201)
            removals.append((seq_of(away), seq_of(back)))
        posting.running = False
    events = await world.events(channel_stream(path))
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    said = [event for event in events if event["type"] == "message.created"]
    assert Counter(event["data"]["id"] for event in said) == Counter(posting.acknowledged)
    assert len(said) > 5 * ROUNDS, "hardly anybody talked"
    deliverable = {event["seq"] for event in heard_by(bob, events)}
    for left, joined in removals:
        assert left in deliverable
        assert joined in deliverable
        assert not deliverable & set(range(left + 1, joined))
    from_bob = {event["seq"] for event in said if event["data"]["author"]["id"] == bob.id}
    assert from_bob
    assert from_bob <= deliverable, "bob spoke while he was out"
    outside = len(events) - len(deliverable)
    assert outside > ROUNDS, "the removals hardly met a message"


def heard_by(person: Person, events: list[Json]) -> list[Json]:
    """Return what gateways may deliver, by the control of each frame alone."""
    on, heard = False, []
    for event in events:
        control = event["control"] or {}
        on = on or person.id in control.get("join", [])
        if on:
            heard.append(event)
        on = on and person.id not in control.get("leave", [])
    return heard


def seq_of(answer: httpx.Response) -> int:
    return int(answer.headers["stream-position"].split()[2])
