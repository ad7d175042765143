"""Downloads by links: counted with their first byte, and gone on with."""

import asyncio
from datetime import timedelta

import httpx
import pytest
from sqlmodel import col, select, update

from services.storage.tests.links import DATA, change, download, left, make_link
from services.storage.tests.support import Json, Person, World, code_of
from sharezync_shared.ids import uuid7
from sharezync_storage.models import Claim
from sharezync_storage.usecases import claims, links


@pytest.fixture
async def file(alice: Person) -> Json:
    return await alice.upload(DATA, "naïve.html", "text/html")


async def test_of_fifty_downloads_at_once_five_are_let_in(
    alice: Person, file: Json, anybody: httpx.AsyncClient
) -> None:
    link = await make_link(alice, file, max_downloads=5)
    answers = await asyncio.gather(*(download(anybody, link) for _ in range(50)))
    assert sorted(answer.status_code for answer in answers) == [200] * 5 + [410] * 45
    assert all(answer.content == DATA for answer in answers if answer.status_code == 200)
    assert {code_of(answer) for answer in answers if answer.is_error} == {"link-gone"}
    assert await left(alice, file) == 0
    look = await anybody.get(link["path"])
    assert (look.status_code, code_of(look)) == (410, "link-gone")


async def test_looking_never_counts(alice: Person, file: Json, anybody: httpx.AsyncClient) -> None:
    link = await make_link(alice, file, max_downloads=1)
    for _ in range(3):
        look = await anybody.get(link["path"])
        assert (look.status_code, look.json()["downloads_left"]) == (200, 1)
        assert look.headers["cache-control"] == "no-store"
        assert look.headers["x-robots-tag"] == "noindex"
        head = await anybody.head(link["path"])
        assert (head.status_code, head.content) == (200, b"")
        for method in ("GET", "HEAD", "OPTIONS"):
            refused = await anybody.request(method, f"{link['path']}/content")
            assert refused.status_code == 405
    assert await left(alice, file) == 1
    assert (await download(anybody, link)).status_code == 200


async def test_what_is_refused_does_not_count(
    alice: Person, file: Json, anybody: httpx.AsyncClient
) -> None:
    link = await make_link(alice, file, max_downloads=1, password="sesame")
    assert (await download(anybody, link)).status_code == 403
    assert (await download(anybody, link, password="wrong")).status_code == 403
    beyond = await download(anybody, link, password="sesame", Range="bytes=9999999-")
    assert (beyond.status_code, code_of(beyond)) == (416, "range-unsatisfiable")
    other = await download(anybody, link, password="sesame", If_Match='"x"')
    assert (other.status_code, code_of(other)) == (412, "precondition-failed")
    assert await left(alice, file) == 1


async def test_a_file_of_no_bytes_is_downloaded_too(
    alice: Person, anybody: httpx.AsyncClient
) -> None:
    file = await alice.upload(b"")
    link = await make_link(alice, file, max_downloads=1)
    assert (await download(anybody, link)).status_code == 200
    assert (await download(anybody, link)).status_code == 410


async def test_what_was_claimed_and_never_begun_is_given_back_in_the_end(
    world: World, alice: Person, file: Json, anybody: httpx.AsyncClient
) -> None:
    """As after a crash between the two: nobody else gives it back."""
    link, work = await make_link(alice, file, max_downloads=2), world.app.state.work
    await claims.claim(work, await links.follow(work, link["token"]))
    assert (await download(anybody, link)).status_code == 200
    assert await left(alice, file) == 0
    async with work.begin() as unit:
        mine = col(Claim.link_id) == link["id"]
        await unit.session.exec(
            update(Claim).where(mine).values(expires_at=unit.now - timedelta(seconds=1))
        )
    await asyncio.gather(claims.sweep(work), claims.sweep(work))
    assert await left(alice, file) == 1
    async with work.read() as unit:
        assert list(await unit.session.exec(select(Claim).where(Claim.link_id == link["id"]))) == []


# --- gone on with --------------------------------------------------------------------------------


async def test_a_download_is_gone_on_with_without_being_counted_anew(
    alice: Person, file: Json, anybody: httpx.AsyncClient
) -> None:
    link = await make_link(alice, file, max_downloads=1, password="sesame")
    begun = await download(anybody, link, password="sesame", Range="bytes=0-99")
    assert (begun.status_code, begun.content) == (206, DATA[:100])
    claim = begun.headers["download-claim"]
    for _ in range(3):
        rest = await download(
            anybody, link, Download_Claim=claim, Range="bytes=100-", If_Range=begun.headers["etag"]
        )
        assert (rest.status_code, rest.content) == (206, DATA[100:])
        assert rest.headers["download-claim"] == claim
    assert (await download(anybody, link, password="sesame")).status_code == 410


async def test_a_claim_is_good_for_its_link_and_its_time(
    world: World, alice: Person, file: Json, anybody: httpx.AsyncClient
) -> None:
    link, other = await make_link(alice, file), await make_link(alice, file)
    claim = (await download(anybody, link)).headers["download-claim"]
    for wrong, name in ((other, claim), (link, str(uuid7()))):
        answer = await download(anybody, wrong, Download_Claim=name)
        assert (answer.status_code, code_of(answer)) == (410, "claim-gone")
    await change(world, link, expires_at=world.app.state.work.now())
    assert (await download(anybody, link, Download_Claim=claim)).status_code == 200
    async with world.app.state.work.begin() as unit:
        mine = col(Claim.id) == claim
        await unit.session.exec(update(Claim).where(mine).values(expires_at=unit.now))
    answer = await download(anybody, link, Download_Claim=claim)
    assert (answer.status_code, code_of(answer)) == (410, "claim-gone")


async def test_a_claim_is_not_for_sharing(alice: Person, anybody: httpx.AsyncClient) -> None:
    file = await alice.upload(bytes(1024 * 1024))
    link = await make_link(alice, file, max_downloads=1)
    claim = (await download(anybody, link)).headers["download-claim"]
    answers = [await download(anybody, link, Download_Claim=claim) for _ in range(8)]
    statuses = [answer.status_code for answer in answers]
    assert statuses[:2] == [200, 200]
    assert statuses[-1] == 410
    assert code_of(answers[-1]) == "claim-gone"
