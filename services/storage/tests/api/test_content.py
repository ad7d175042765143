"""`/v1/files/{id}/content`: ranges, validators, links, and headers under which nothing harms."""

import os
import time
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from services.storage.tests.support import Json, Person, World, code_of
from sharezync_storage.errors import StoreUnavailable

DATA = os.urandom(700_000)


@pytest.fixture
async def file(alice: Person) -> Json:
    return await alice.upload(DATA, "naïve €.bin", "application/x-thing")


async def test_the_whole_is_served_under_harmless_headers(alice: Person, file: Json) -> None:
    answer = await alice.content(file)
    assert (answer.status_code, answer.content) == (200, DATA)
    assert answer.headers["content-length"] == str(len(DATA))
    assert answer.headers["content-type"] == "application/x-thing"
    assert answer.headers["content-disposition"] == (
        "attachment; filename=\"na_ve _.bin\"; filename*=UTF-8''na%C3%AFve%20%E2%82%AC.bin"
    )
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-security-policy"] == "default-src 'none'; sandbox"
    assert answer.headers["accept-ranges"] == "bytes"
    assert answer.headers["cache-control"] == "private, no-cache"


@pytest.mark.parametrize(
    ("mime", "how"),
    [
        ("image/png", "inline"),
        ("text/html", "attachment"),
        ("image/svg+xml", "attachment"),
        ("application/pdf", "attachment"),
    ],
)
async def test_only_harmless_media_are_shown_in_place(alice: Person, mime: str, how: str) -> None:
    answer = await alice.content(await alice.upload(b"<svg onload=alert(1)>", "x", mime))
    assert answer.headers["content-disposition"].startswith(how)
    assert answer.headers["content-security-policy"] == "default-src 'none'; sandbox"
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [
        ("bytes=0-0", 0, 0),
        ("bytes=100-", 100, len(DATA) - 1),
        ("bytes=-500000", len(DATA) - 500_000, len(DATA) - 1),
        ("bytes=250000-600000", 250_000, 600_000),
        ("bytes=0-9999999", 0, len(DATA) - 1),
    ],
)
async def test_one_range_is_served(
    alice: Person, file: Json, asked: str, first: int, last: int
) -> None:
    answer = await alice.content(file, Range=asked)
    assert answer.status_code == 206
    assert answer.content == DATA[first : last + 1]
    assert answer.headers["content-range"] == f"bytes {first}-{last}/{len(DATA)}"
    assert answer.headers["content-length"] == str(last - first + 1)
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("asked", ["bytes=900000-", "bytes=x", "bytes=5-2"])
async def test_other_ranges_are_refused_with_the_size(
    alice: Person, file: Json, asked: str
) -> None:
    answer = await alice.content(file, Range=asked)
    assert (answer.status_code, code_of(answer)) == (416, "range-unsatisfiable")
    assert answer.headers["content-range"] == f"bytes */{len(DATA)}"


async def test_several_ranges_are_answered_with_the_whole(alice: Person, file: Json) -> None:
    answer = await alice.content(file, Range="bytes=0-1,5-6")
    assert answer.status_code == 200
    assert answer.content == DATA


async def test_a_client_that_has_it_is_told_so(alice: Person, file: Json) -> None:
    etag = (await alice.content(file)).headers["etag"]
    for given in (etag, f"W/{etag}", f'"x", {etag}', "*"):
        answer = await alice.content(file, If_None_Match=given)
        assert (answer.status_code, answer.content) == (304, b"")
        assert answer.headers["etag"] == etag
        assert "content-length" not in answer.headers
    answer = await alice.content(file, If_None_Match='"x"')
    assert answer.status_code == 200
    other = await alice.upload(DATA)
    assert (await alice.content(other)).headers["etag"] != etag


async def test_conditions_hold_for_looking_and_for_downloading(alice: Person, file: Json) -> None:
    url = f"/v1/files/{file['id']}/content"
    head = await alice.http.head(url)
    etag, modified = head.headers["etag"], head.headers["last-modified"]
    for name, value, status in (
        ("If-Match", etag, 200),
        ("If-Match", '"x"', 412),
        ("If-Modified-Since", modified, 304),
        ("If-Modified-Since", "Sun, 06 Nov 1994 08:49:37 GMT", 200),
        ("If-Unmodified-Since", modified, 200),
        ("If-Unmodified-Since", "Sun, 06 Nov 1994 08:49:37 GMT", 412),
    ):
        for method in ("GET", "HEAD"):
            answer = await alice.http.request(method, url, headers={name: value})
            assert answer.status_code == status, (method, name, value)
    answer = await alice.content(file, If_Match='"x"', Range="bytes=0-1")
    assert (answer.status_code, code_of(answer)) == (412, "precondition-failed")
    # A condition that holds comes before the range.
    answer = await alice.content(file, If_None_Match=etag, Range="bytes=900000-")
    assert answer.status_code == 304


async def test_a_range_goes_on_only_in_the_same_version(alice: Person, file: Json) -> None:
    head = await alice.content(file)
    for same in (head.headers["etag"], head.headers["last-modified"]):
        answer = await alice.content(file, Range="bytes=5-9", If_Range=same)
        assert (answer.status_code, answer.content) == (206, DATA[5:10])
    answer = await alice.content(file, Range="bytes=5-9", If_Range='"older"')
    assert (answer.status_code, answer.content) == (200, DATA)


async def test_head_tells_what_get_would(alice: Person, file: Json) -> None:
    url = f"/v1/files/{file['id']}/content"
    got, head = await alice.http.get(url), await alice.http.head(url)
    ours = {name: value for name, value in got.headers.items() if name != "x-request-id"}
    assert head.status_code == 200
    assert head.content == b""
    assert {name: head.headers[name] for name in ours} == ours
    etag = got.headers["etag"]
    assert (await alice.http.head(url, headers={"If-None-Match": etag})).status_code == 304
    assert (await alice.http.head(url, headers={"Range": "bytes=0-0"})).status_code == 200


async def test_an_empty_file_has_no_ranges(alice: Person) -> None:
    file = await alice.upload(b"")
    assert (await alice.content(file)).content == b""
    assert (await alice.content(file, Range="bytes=0-")).status_code == 416


async def test_lost_bytes_are_told_as_ours_to_mend(world: World, alice: Person, file: Json) -> None:
    for blob in world.blobs():
        blob.unlink()
    answer = await alice.content(file)
    assert (answer.status_code, code_of(answer)) == (500, "content-damaged")


async def test_a_store_that_is_away_is_told_as_such(
    world: World, alice: Person, file: Json, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object, **__: object) -> None:
        raise StoreUnavailable

    monkeypatch.setattr(world.parts.store, "open", away)
    answer = await alice.content(file)
    assert (answer.status_code, code_of(answer)) == (503, "storage-unavailable")


# --- links ---------------------------------------------------------------------------------------


async def test_whoever_has_a_link_can_read(
    world: World, alice: Person, file: Json, anybody: httpx.AsyncClient
) -> None:
    bob = await world.person()
    answer = await world.link(file, bob, expires_in_seconds=60)
    assert answer.status_code == 200
    link = answer.json()
    assert link["url"].startswith(f"/v1/files/{file['id']}/content?expires=")
    for who in (anybody, bob.http, alice.http):
        got = await who.get(link["url"])
        assert (got.status_code, got.content) == (200, DATA)
        got = await who.get(link["url"], headers={"Range": "bytes=3-4"})
        assert (got.status_code, got.content) == (206, DATA[3:5])
    assert (await anybody.head(link["url"])).status_code == 200
    expires = int(parse_qs(urlsplit(link["url"]).query)["expires"][0])
    assert time.time() + 55 < expires <= time.time() + 60
    assert link["expires_at"].endswith("Z")


async def test_a_link_is_good_for_one_file_and_for_nothing_but_its_content(
    world: World, alice: Person, file: Json, anybody: httpx.AsyncClient
) -> None:
    other = await alice.upload(b"other")
    url = (await world.link(file, alice)).json()["url"]
    query = url.partition("?")[2]
    answer = await anybody.get(f"/v1/files/{other['id']}/content?{query}")
    assert (answer.status_code, code_of(answer)) == (403, "signature-invalid")
    for method, path in (("GET", ""), ("DELETE", "")):
        answer = await anybody.request(method, f"/v1/files/{file['id']}{path}?{query}")
        assert (answer.status_code, code_of(answer)) == (401, "unauthenticated")


async def test_links_that_we_did_not_make_are_refused(
    world: World, alice: Person, file: Json, anybody: httpx.AsyncClient
) -> None:
    url = (await world.link(file, alice)).json()["url"]
    expires, signature = (
        parse_qs(urlsplit(url).query)[name][0] for name in ("expires", "signature")
    )
    later = str(int(expires) + 1)
    bad = [
        {"expires": later, "signature": signature},
        {"expires": expires, "signature": signature[:-1]},
        {"expires": expires, "signature": ""},
        {"expires": expires, "signature": "ü"},
        {"expires": expires},
        {"signature": signature},
    ]
    content = f"/v1/files/{file['id']}/content"
    for params in bad:
        for who in (anybody, alice.http):  # a token does not mend a bad link
            answer = await who.get(content, params=params)
            assert (answer.status_code, code_of(answer)) == (403, "signature-invalid")
    for params in (
        {"expires": "x", "signature": "y"},
        {"expires": expires, "signature": "y" * 200},
    ):
        answer = await anybody.get(content, params=params)
        assert (answer.status_code, code_of(answer)) == (422, "invalid")


async def test_a_link_that_ran_out_is_told_as_such(
    world: World, file: Json, anybody: httpx.AsyncClient
) -> None:
    url = world.parts.signer.path(file["id"], int(time.time()) - 1)
    answer = await anybody.get(url)
    assert (answer.status_code, code_of(answer)) == (403, "signature-expired")


@pytest.mark.parametrize("seconds", [0, -1, 301, 10**9, "soon"])
async def test_links_hold_five_minutes_at_most(
    world: World, alice: Person, file: Json, seconds: int | str
) -> None:
    answer = await world.link(file, alice, expires_in_seconds=seconds)
    assert (answer.status_code, code_of(answer)) == (422, "invalid")


async def test_there_is_no_link_to_what_is_not_there(world: World, alice: Person) -> None:
    answer = await world.link({"id": str(alice.id)}, alice)
    assert (answer.status_code, code_of(answer)) == (404, "not-found")


async def test_files_are_described_to_services(world: World, alice: Person, file: Json) -> None:
    bob = await world.person()
    other, gone = await bob.upload(b"other"), await bob.upload(b"gone")
    await bob.http.delete(f"/v1/files/{gone['id']}")
    ids = ",".join([file["id"], other["id"], gone["id"], str(alice.id)])
    answer = await world.inside.get("/internal/files", params={"ids": ids})
    described = {one["id"]: one for one in answer.json()["files"]}
    assert described == {file["id"]: file, other["id"]: other}
    assert (await world.inside.get("/internal/files", params={"ids": ""})).json() == {"files": []}


@pytest.mark.parametrize("ids", ["x", "1,2", ",".join(["0" * 32] * 101)])
async def test_nonsense_for_ids_is_refused(world: World, ids: str) -> None:
    answer = await world.inside.get("/internal/files", params={"ids": ids})
    assert (answer.status_code, code_of(answer)) == (422, "invalid")
