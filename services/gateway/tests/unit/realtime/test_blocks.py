"""What is kept of auth's answers about blocks, and for how long."""

import asyncio
from collections.abc import Sequence
from typing import cast

from sharezync_gateway.realtime.blocks import Blocks
from sharezync_gateway.realtime.peers import Peers, PeerUnavailable


class Auth:
    """In the place of `Peers`."""

    def __init__(self) -> None:
        self.blocked: set[str] = set()
        self.away = False
        self.answers = asyncio.Event()
        self.answers.set()
        self.now = 0.0
        self.blocks = Blocks(cast("Peers", self), lambda: self.now)

    async def apart(self, user_id: str, other_ids: Sequence[str]) -> set[str]:
        found = self.blocked & set(other_ids)
        await self.answers.wait()
        if self.away:
            raise PeerUnavailable("auth", "away")
        return found


async def test_an_answer_holds_for_those_who_were_asked_about_and_for_a_minute() -> None:
    auth = Auth()
    auth.blocked = {"b"}
    assert auth.blocks.apart("a", ["b"]) is None
    await auth.blocks.learn("a", ["b", "c"])
    assert auth.blocks.apart("a", ["b"]) == {"b"}
    assert auth.blocks.apart("a", ["b", "d"]) is None
    await auth.blocks.learn("a", ["d"])
    assert auth.blocks.apart("a", ["b", "c", "d"]) == {"b"}
    auth.now += 61
    assert auth.blocks.apart("a", ["b"]) is None


async def test_a_change_ends_what_is_known_and_what_is_on_its_way() -> None:
    auth = Auth()
    await auth.blocks.learn("a", ["b"])
    auth.answers.clear()
    asking = asyncio.create_task(auth.blocks.learn("a", ["b"]))
    await asyncio.sleep(0)
    auth.blocks.forget(["a", "b"])
    auth.answers.set()
    await asking
    assert auth.blocks.apart("a", ["b"]) is None


async def test_a_change_between_others_ends_nothing() -> None:
    """Or two accounts that block each other in a loop would keep everybody from being heard."""
    auth = Auth()
    auth.answers.clear()
    asking = asyncio.create_task(auth.blocks.learn("a", ["b"]))
    await asyncio.sleep(0)
    auth.blocks.forget(["x", "y"])
    auth.answers.set()
    await asking
    assert auth.blocks.apart("a", ["b"]) == set()


async def test_without_an_answer_nothing_is_known() -> None:
    auth = Auth()
    auth.away = True
    await auth.blocks.learn("a", ["b"])
    assert auth.blocks.apart("a", ["b"]) is None


async def test_only_so_much_is_kept() -> None:
    auth = Auth()
    for number in range(10_001):
        await auth.blocks.learn(str(number), ["b"])
    assert auth.blocks.apart("0", ["b"]) is None
    assert auth.blocks.apart("10000", ["b"]) == set()
