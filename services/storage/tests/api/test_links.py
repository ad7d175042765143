"""Links by which strangers download a file: made, listed, revoked, and how they end."""

import asyncio
from datetime import timedelta
from hashlib import sha256 as digest_of

import httpx
import pytest

from services.storage.tests.links import DATA, change, download, links_of, make_link, try_link
from services.storage.tests.support import Json, Person, World, allow, code_of
from sharezync_shared.events.contracts import UserDeleted
from sharezync_storage.models import Link
from sharezync_storage.usecases import links
from sharezync_testkit.waiting import wait_until


@pytest.fixture
async def file(alice: Person) -> Json:
    return await alice.upload(DATA, "naïve.html", "text/html")


async def test_a_stranger_downloads_by_a_link(
    alice: Person, file: Json, anybody: httpx.AsyncClient
) -> None:
    link = await make_link(alice, file)
    look = (await anybody.get(link["path"])).json()
    assert (look["name"], look["size_bytes"], look["mime"]) == (
        "naïve.html", len(DATA), "text/html",
    )  # fmt: skip
    assert (look["asks_password"], look["downloads_left"]) == (False, None)
    answer = await download(anybody, link)
    assert (answer.status_code, answer.content) == (200, DATA)
    assert answer.headers["content-disposition"] == (
        "attachment; filename=\"na_ve.html\"; filename*=UTF-8''na%C3%AFve.html"
    )
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-security-policy"] == "default-src 'none'; sandbox"


async def test_only_a_digest_of_the_token_is_kept(world: World, alice: Person, file: Json) -> None:
    link = await make_link(alice, file, password="sesame")
    async with world.app.state.work.read() as unit:
        row = await unit.get(Link, link["id"])
    assert row is not None
    assert row.token_digest == digest_of(link["token"].encode()).digest()
    assert (row.password_hash or "").startswith("$argon2id$")
    for listed in await links_of(alice, file):
        assert "token" not in listed
        assert "path" not in listed


async def test_links_are_listed_in_pages_and_revoked(
    alice: Person, file: Json, anybody: httpx.AsyncClient
) -> None:
    made = [await make_link(alice, file, max_downloads=n) for n in (1, 2, 3)]
    url = f"/v1/files/{file['id']}/links"
    first = (await alice.http.get(url, params={"limit": 2})).json()
    assert len(first["items"]) == 2
    rest = (await alice.http.get(url, params={"cursor": first["next"]})).json()
    assert rest["next"] is None
    listed = [link["id"] for link in first["items"] + rest["items"]]
    assert sorted(listed) == sorted(link["id"] for link in made)

    assert (await alice.http.delete(f"{url}/{made[0]['id']}")).status_code == 204
    assert (await alice.http.delete(f"{url}/{made[0]['id']}")).status_code == 404
    assert (await download(anybody, made[0])).status_code == 404
    assert (await anybody.get(made[0]["path"])).status_code == 404
    assert (await download(anybody, made[1])).status_code == 200


async def test_links_are_the_owners_alone_to_make_and_see(
    world: World, alice: Person, file: Json
) -> None:
    eve, link = await world.person(), await make_link(alice, file)
    other = await eve.upload(b"hers")
    url = f"/v1/files/{file['id']}/links"
    assert (await try_link(eve, file)).status_code == 404
    assert (await eve.http.get(url)).status_code == 404
    assert (await eve.http.delete(f"{url}/{link['id']}")).status_code == 404
    theirs = f"/v1/files/{other['id']}/links/{link['id']}"
    assert (await eve.http.delete(theirs)).status_code == 404


async def test_links_to_one_file_are_bounded(world: World, alice: Person, file: Json) -> None:
    allow(world, max_links_per_file=3)
    answers = await asyncio.gather(*(try_link(alice, file) for _ in range(6)))
    assert sorted(answer.status_code for answer in answers) == [201] * 3 + [409] * 3
    assert {code_of(answer) for answer in answers if answer.is_error} == {"too-many-links"}
    refusal = (await try_link(alice, file)).json()
    assert (refusal["of"], refusal["limit"]) == ("file", 3)


async def test_links_of_one_user_are_bounded(world: World, alice: Person, file: Json) -> None:
    others = [await alice.upload(b"x") for _ in range(3)]
    allow(world, max_links_per_user=4)
    answers = await asyncio.gather(*(try_link(alice, each) for each in [file, *others] * 3))
    assert sorted(answer.status_code for answer in answers) == [201] * 4 + [409] * 8
    refusals = [answer.json() for answer in answers if answer.is_error]
    assert {(each["code"], each["of"], each["limit"]) for each in refusals} == {
        ("too-many-links", "user", 4)
    }
    eve = await world.person()
    assert (await try_link(eve, await eve.upload(b"y"))).status_code == 201


@pytest.mark.parametrize(
    "wanted",
    [
        {"expires_in_seconds": 59},
        {"expires_in_seconds": 366 * 24 * 3600},
        {"max_downloads": 0},
        {"max_downloads": 1.5},
        {"password": "abc"},
        {"password": "x" * 129},
    ],
)
async def test_what_makes_no_sense_is_refused(alice: Person, file: Json, wanted: Json) -> None:
    answer = await try_link(alice, file, **wanted)
    assert (answer.status_code, code_of(answer)) == (422, "invalid")


async def test_unknown_tokens_lead_nowhere(anybody: httpx.AsyncClient) -> None:
    for token, status in (("A" * 32, 404), ("x", 422), ("A" * 33, 422)):
        assert (await anybody.get(f"/v1/links/{token}")).status_code == status
        assert (await anybody.post(f"/v1/links/{token}/content")).status_code == status


# --- endings -------------------------------------------------------------------------------------


async def test_a_link_runs_out(
    world: World, alice: Person, file: Json, anybody: httpx.AsyncClient
) -> None:
    link = await make_link(alice, file, expires_in_seconds=60)
    assert (await download(anybody, link)).status_code == 200
    await change(world, link, expires_at=world.app.state.work.now())
    for answer in (await download(anybody, link), await anybody.get(link["path"])):
        assert (answer.status_code, code_of(answer)) == (410, "link-gone")
    assert len(await links_of(alice, file)) == 1
    await change(world, link, expires_at=world.app.state.work.now() - timedelta(days=1, seconds=1))
    await links.sweep(world.app.state.work)
    assert await links_of(alice, file) == []
    assert (await anybody.get(link["path"])).status_code == 404


@pytest.mark.parametrize("everywhere", ["false", "true"])
async def test_a_file_takes_its_links_along(
    world: World, alice: Person, file: Json, anybody: httpx.AsyncClient, everywhere: str
) -> None:
    link = await make_link(alice, file)
    claim = (await download(anybody, link)).headers["download-claim"]
    await alice.http.delete(f"/v1/files/{file['id']}", params={"everywhere": everywhere})
    for answer in (
        await download(anybody, link),
        await anybody.get(link["path"]),
        await download(anybody, link, Download_Claim=claim),
    ):
        assert answer.status_code in {404, 410}
    await links.sweep(world.app.state.work)
    assert (await anybody.get(link["path"])).status_code == 404


async def test_a_user_takes_their_links_along(
    world: World, alice: Person, file: Json, anybody: httpx.AsyncClient
) -> None:
    link = await make_link(alice, file)
    await download(anybody, link)
    async with world.app.state.work.begin() as unit:
        unit.emit(UserDeleted(user_id=alice.id))
    await wait_until(
        lambda: any(fact.subject == file["id"] and "deleted" in fact.type for fact in world.facts)
    )
    assert (await anybody.get(link["path"])).status_code == 404
    assert (await download(anybody, link)).status_code == 404
