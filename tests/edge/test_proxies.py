"""Behind nginx and HAProxy, whose connections to the gateway all clients share.

Every answer carries its asker's mark: none ever gets another's.
"""

import asyncio
import itertools
from collections.abc import Iterator, Sequence

from hypothesis import strategies as st

from tests.blackbox.people import Person
from tests.edge import answers, reference
from tests.edge.examples import count, drawn
from tests.edge.oddities import odd
from tests.edge.product import Asker, asker_of
from tests.edge.proxies import Proxy
from tests.edge.streams import OFFERS, Message, Sent, Stream, head, spelled, streams
from tests.edge.verdict import complaint, exchange

ROUNDS = 1
REGULAR, ODD = count(3, cost=50), count(5, cost=50)
"""How many streams each client sends through each proxy."""


def regular(asker: Asker) -> st.SearchStrategy[Stream]:
    """Regular streams; without HTTP/1.0, of which proxies keep connections that h11 ends."""
    strategy = streams(asker.messages(), name=asker.name, most=3, each_byte=0)
    return strategy.filter(lambda s: b"HTTP/1.0" not in s.wire and not s.half_closes)


async def send_all(port: int, asker: Asker, examples: Sequence[Stream]) -> list[str]:
    """Send streams one after the other, and return what was wrong with their answers."""
    wrong = []
    for stream in examples:
        outcome = await exchange(port, stream, to_the_end=False)
        if found := complaint(stream, outcome, asker.difference):
            wrong.append(f"{found}\n{stream.packets}")
    return wrong


async def test_every_answer_is_its_askers(
    proxies: dict[str, Proxy], alice: Person, bob: Person
) -> None:
    clients = [await asker_of(alice, bob), await asker_of(bob, alice)] * 2
    drawn_of = [iter(drawn(regular(one), REGULAR * len(proxies))) for one in clients]
    for name, proxy in proxies.items():
        told = await asyncio.gather(
            *(
                send_all(proxy.port, one, list(itertools.islice(examples, REGULAR)))
                for one, examples in zip(clients, drawn_of, strict=True)
            )
        )
        wrong = [line for lines in told for line in lines]
        assert not wrong, f"{name}: {len(wrong)}, such as {min(wrong, key=len)}"


def attacks(asker: Asker) -> Iterator[tuple[Stream, Asker]]:
    """Offers of another protocol with a body behind them in a packet of its own."""
    form = b"grant_type=password&username=nobody&password=nothing"
    hidden = asker.asking_for_tokens(form)
    # It takes a while to answer: the next who asks comes before its answer.
    slow = head("hidden-slow", hidden, ((b"Content-Length", b"%d" % len(form)),)) + form
    messages = (asker.asking_for_tokens(slow), asker.uploading(spelled("upload")), asker.reading())
    for offer, message in itertools.product(OFFERS[1:4], messages):
        yield one_request(asker, message, offer), asker


def one_request(
    asker: Asker, message: Message, fields: tuple[tuple[bytes, bytes], ...] = ()
) -> Stream:
    length = (b"Content-Length", b"%d" % len(message.body))
    parts = (head(f"{asker.name}0", message, (*fields, length)), message.body)
    packets = tuple(part for part in parts if part)
    return Stream((Sent(packets),), packets, half_closes=False)


async def test_what_a_body_spells_is_nobodys_request(
    proxies: dict[str, Proxy], alice: Person, bob: Person
) -> None:
    attacker, victim = await asker_of(alice, bob), await asker_of(bob, alice)
    innocent = (one_request(victim, victim.asking_who_one_is()), victim)
    for name, proxy in proxies.items():
        for attack in list(attacks(attacker)) * ROUNDS:
            for stream, asker in (attack, innocent):
                outcome = await exchange(proxy.port, stream, to_the_end=False)
                wrong = complaint(stream, outcome, asker.difference)
                assert not wrong, f"{name}: {wrong} {stream.packets}"


async def test_odd_requests_disturb_nobody_else(
    proxies: dict[str, Proxy], alice: Person, bob: Person
) -> None:
    attacker, victim = await asker_of(alice, bob), await asker_of(bob, alice)
    strategy = streams(attacker.messages(), odd=odd, name=attacker.name, most=2, each_byte=0)
    strange = iter(drawn(strategy, ODD * len(proxies)))
    innocent = iter(drawn(regular(victim), REGULAR * len(proxies)))
    own = (attacker.name, "hidden-", "smuggled-")

    async def attack(port: int, stream: Stream) -> None:
        outcome = await exchange(port, stream, to_the_end=False)
        asked = reference.read(stream.meant).requests
        for answer in answers.read(outcome.came, asked, ended=True).whole:
            # A proxy's own refusals carry no mark.
            assert not answer.mark or answer.mark.startswith(own), stream.packets

    for name, proxy in proxies.items():
        wrong, *_ = await asyncio.gather(
            send_all(proxy.port, victim, list(itertools.islice(innocent, REGULAR))),
            *(attack(proxy.port, stream) for stream in itertools.islice(strange, ODD)),
        )
        assert not wrong, f"{name}: {len(wrong)}, such as {min(wrong, key=len)}"
