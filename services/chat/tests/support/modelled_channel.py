"""A channel, four people and their devices beside a model of what they must see."""

import asyncio
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

import httpx
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant

from services.chat.tests.support.channel_model import Model, Said, seen_in
from services.chat.tests.support.hub import Device, Hub
from services.chat.tests.support.replica import Replica
from services.chat.tests.support.world import Json, Person, World

Result = TypeVar("Result")
Text = tuple[str, frozenset[int], bool]
"""A word, whom it calls (as their number), and whether it calls all."""

NAMES: Final = ("ada", "bob", "cleo", "dan")
DEVICES: Final = (2, 3, 1, 1)  # how many each of them has


class ModelledChannel(RuleBasedStateMachine):
    """Four people, seven devices, one channel, and what must hold whatever they do."""

    def __init__(self, world: World, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self.world = world
        self.loop = loop
        self.hub = Hub(world, self.do(world.service()))

    def do(self, coroutine: Coroutine[Any, Any, Result]) -> Result:
        """Run it on the service's loop; rules are called in another thread."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result()

    @initialize(public=st.booleans())
    def begin(self, public: bool) -> None:
        self.do(self._begin(public))

    async def _begin(self, public: bool) -> None:
        self.people = await self.world.people(*NAMES)
        ada = self.people[0]
        self.path = await ada.channel("public" if public else "private")
        self.stream = f"channel:{self.path.rpartition('/')[2]}"
        self.model = Model(public, ada.id)
        self.model.enter(ada.id, "owner", 1, agreed=True)
        await self.hub.settle()
        for person, count in zip(self.people, DEVICES, strict=True):
            for _ in range(count):
                await self.hub.connect(person)
        for person in self.people[1:3]:  # dan stays outside
            answer = await person_adds(ada, self.path, person)
            self.model.enter(person.id, "member", seq_of(answer), agreed=False)
        await self.hub.settle()
        self.code: str | None = None
        self.keys = 0

    def ask(
        self, who: int, method: str, path: str, expected: int, body: Json | None = None
    ) -> httpx.Response:
        """Ask the service, and insist on the status that the model says."""

        async def asked() -> httpx.Response:
            answer = await self.people[who].http.request(method, path, json=body)
            await self.hub.settle()
            return answer

        answer = self.do(asked())
        assert answer.status_code == expected, f"{method} {path}: {answer.text}"
        return answer

    # --- what must hold ----------------------------------------------------------------------

    @invariant()
    def nobody_hears_what_is_said_while_they_are_out(self) -> None:
        for user_id, stream, seq in self.hub.heard:
            if stream == self.stream:
                assert self.model.may_hear(user_id, seq), f"{seq} reached somebody outside"
        self.hub.heard.clear()

    def teardown(self) -> None:
        for person in getattr(self, "people", ()):
            fresh = self.do(Replica.load(person))
            self.is_as_the_model_says(person, fresh)
            for device in self.hub.devices:
                if device.owner is person:
                    self.has_what_a_fresh_load_gives(device, fresh)

    def has_what_a_fresh_load_gives(self, device: Device, fresh: Replica) -> None:
        device.hear_everything()
        assert device.replica.differences(fresh) == []

    def is_as_the_model_says(self, person: Person, fresh: Replica) -> None:
        shown = None
        for channel in fresh.channels.values():
            assert channel.members is not None
            members, messages = channel.members.values(), channel.messages.values()
            shown = seen_in(channel.membership, members, messages) | {"pins": set(channel.pins)}
        assert shown == self.model.seen_by(person.id)

    # --- choosing ----------------------------------------------------------------------------

    def who(self, pick: int) -> int:
        """Return one of those in the channel; the greatest picks are just anybody."""
        if pick >= 13:
            return pick % len(self.people)
        inside = list(self.model.roles)
        return self.place(inside[pick % len(inside)])

    def id(self, who: int) -> str:
        return self.people[who].id

    def place(self, user_id: str) -> int:
        return [person.id for person in self.people].index(user_id)

    def one_said(self, pick: int) -> Said:
        """Return a message; small picks are the latest, about which most happens."""
        return self.model.said[-1 - pick % len(self.model.said)]

    def written(self, text: Text) -> tuple[str, frozenset[str]]:
        """Return the words of a text, and which of the members it calls by name."""
        word, called, everyone = text
        names = [f"@{self.people[who].username}" for who in sorted(called)]
        words = " ".join([word, *names, *(["@channel"] if everyone else [])])
        return words, frozenset(self.id(who) for who in called) & self.model.roles.keys()


async def person_adds(who: Person, path: str, other: Person) -> httpx.Response:
    answer = await who.http.post(f"{path}/members", json={"user_id": other.id})
    assert answer.status_code == 201
    return answer


def seq_of(answer: httpx.Response) -> int:
    """Return where in its stream a change stands."""
    return int(answer.headers["stream-position"].split()[2])
