"""Passwords of links: what they hide, and who guesses them waits."""

import asyncio
from datetime import timedelta

import httpx
import pytest

from services.storage.tests.links import DATA, download, make_link
from services.storage.tests.support import Json, Person, World, code_of
from sharezync_storage.models import Link
from sharezync_storage.usecases.links import FREE_FAILURES


@pytest.fixture
async def file(alice: Person) -> Json:
    return await alice.upload(DATA, "naïve.html", "text/html")


async def test_a_link_with_a_password_names_nothing_before_it(
    alice: Person, file: Json, anybody: httpx.AsyncClient
) -> None:
    link = await make_link(alice, file, password="cafe\u0301 au lait")
    look = (await anybody.get(link["path"])).json()
    assert look["asks_password"] is True
    assert (look["name"], look["size_bytes"], look["mime"]) == (None, None, None)
    for wrong in (None, "", "cafe", "café  au lait"):
        answer = await download(anybody, link, password=wrong)
        assert (answer.status_code, code_of(answer)) == (403, "link-password")
    # Typed on a system that composes letters.
    answer = await download(anybody, link, password="caf\u00e9 au lait")
    assert (answer.status_code, answer.content) == (200, DATA)


async def test_whoever_guesses_waits_and_is_not_looked_at(
    world: World,
    alice: Person,
    file: Json,
    anybody: httpx.AsyncClient,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    link = await make_link(alice, file, password="sesame")
    looked_at: list[str] = []
    verify = world.parts.passwords.verify

    async def counted(password: str, stored: str, *, caller: str) -> bool:
        looked_at.append(password)
        return await verify(password, stored, caller=caller)

    monkeypatch.setattr(world.parts.passwords, "verify", counted)
    # The clock stands: the first wait is over in a second, which hashing may take.
    now = world.app.state.work.now()
    monkeypatch.setattr(world.app.state.work, "now", lambda: now)
    guesses = [str(n) for n in range(FREE_FAILURES + 20)]
    # Each from an address of its own: of one alone, few would wait for a thread.
    answers = await asyncio.gather(
        *(
            download(anybody, link, password=guess, x_forwarded_for=f"192.0.2.{n}")
            for n, guess in enumerate(guesses)
        )
    )
    refused = [code_of(answer) for answer in answers]
    assert refused.count("link-password") == len(looked_at) == FREE_FAILURES
    locked = [answer for answer in answers if code_of(answer) == "link-locked"]
    assert {(answer.status_code, answer.headers["retry-after"]) for answer in locked} == {
        (429, "1")
    }
    assert len(locked) == 20
    # The right one too waits; and after another wrong one the wait is longer.
    assert (await download(anybody, link, password="sesame")).status_code == 429
    for seconds in (2, 4, 8):
        now += timedelta(seconds=seconds / 2)
        assert (await download(anybody, link, password="wrong")).status_code == 403
        answer = await download(anybody, link, password="sesame")
        assert (answer.status_code, answer.headers["retry-after"]) == (429, str(seconds))
    now += timedelta(seconds=8)
    assert (await download(anybody, link, password="sesame")).status_code == 200


async def test_a_right_password_takes_the_failures_back(
    world: World, alice: Person, file: Json, anybody: httpx.AsyncClient
) -> None:
    link = await make_link(alice, file, password="sesame")
    for _ in range(3):
        for _ in range(FREE_FAILURES - 1):
            assert (await download(anybody, link, password="wrong")).status_code == 403
        assert (await download(anybody, link, password="sesame")).status_code == 200
    async with world.app.state.work.read() as unit:
        row = await unit.get(Link, link["id"])
    assert row is not None
    assert (row.failures, row.locked_until) == (0, None)


async def test_every_wrong_password_costs_one_check_of_the_same_kind(
    world: World,
    alice: Person,
    file: Json,
    anybody: httpx.AsyncClient,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What no clock can tell apart: one whole argon2 for each, whatever it has in common."""
    link = await make_link(alice, file, password="sesame open up")
    checked: list[str] = []
    hasher = world.parts.passwords._argon2
    verify = hasher.verify

    def counted(password: str, stored: str) -> bool:
        checked.append(stored)
        return verify(password, stored)

    monkeypatch.setattr(hasher, "verify", counted)
    for wrong in ("", "s", "sesame open u", "sesame open uq", "x" * 128):
        assert (await download(anybody, link, password=wrong)).status_code == 403
    assert len(checked) == 5
    assert len(set(checked)) == 1
    assert "m=19456,t=2,p=1" in checked[0]
