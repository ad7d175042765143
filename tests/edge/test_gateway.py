"""The product in both ways it runs: real routes, on one connection to the gateway."""

import asyncio

import pytest

from tests.blackbox.people import Person
from tests.edge.conftest import port_of
from tests.edge.examples import count, drawn
from tests.edge.oddities import odd
from tests.edge.product import Asker, asker_of
from tests.edge.streams import Stream, streams
from tests.edge.verdict import complaint, exchange

AT_A_TIME = 4


async def complaints(port: int, asker: Asker, examples: list[Stream]) -> list[str]:
    """Send the streams, some at a time; return what went wrong with each that went wrong."""
    free = asyncio.Semaphore(AT_A_TIME)

    async def one(stream: Stream) -> str:
        async with free:
            outcome = await exchange(port, stream)
        wrong = complaint(stream, outcome, asker.difference)
        return f"{wrong}\n{stream.packets}" if wrong else ""

    return [wrong for wrong in await asyncio.gather(*map(one, examples)) if wrong]


@pytest.mark.parametrize("kind", ["regular", "odd"])
async def test_the_product_reads_what_the_reference_reads(
    alice: Person, bob: Person, base_url: str, kind: str
) -> None:
    caller = await asker_of(alice, bob)
    strategy = streams(
        caller.messages(), odd=odd if kind == "odd" else None, name=caller.name, each_byte=300
    )
    wrong = await complaints(port_of(base_url), caller, drawn(strategy, count(30, cost=5)))
    assert not wrong, f"{len(wrong)}, such as {min(wrong, key=len)}"
