"""Files by URLs: signed ones to send and to read, and links for strangers. Through the gateway."""

import asyncio
import os

import httpx

from tests.blackbox.people import Json, Person

MIB = 1024 * 1024
PICTURE = os.urandom(9 * MIB)


def stranger(base_url: str) -> httpx.AsyncClient:
    """Somebody without an account, who follows paths and whole URLs alike."""
    return httpx.AsyncClient(base_url=base_url, timeout=30)


async def upload(person: Person, content: bytes = PICTURE, name: str = "holiday.png") -> Json:
    """Send a file by signed URLs, wherever they lead."""
    begun = await person.post(
        "/v1/files/presigned", {"name": name, "size_bytes": len(content), "mime": "image/png"}
    )
    sent, start = [], 0
    async with stranger(person.base_url) as http:
        for part in begun["parts"]:
            body = content[start : start + part["size_bytes"]]
            answer = await http.put(part["url"], content=body, headers=part["headers"])
            assert answer.status_code == 200, answer.text
            sent.append({"number": part["number"], "etag": answer.headers["etag"]})
            start += part["size_bytes"]
    return await person.post(f"/v1/files/presigned/{begun['id']}/complete", {"parts": sent})


async def test_a_file_is_sent_by_signed_urls_and_read_by_one(alice: Person) -> None:
    file = await upload(alice)
    assert (file["size_bytes"], file["mime"]) == (len(PICTURE), "image/png")
    signed = await alice.post(f"/v1/files/{file['id']}/urls", {}, expect=200)
    async with stranger(alice.base_url) as http:
        whole = await http.get(signed["url"])
        part = await http.get(signed["url"], headers={"Range": "bytes=-5"})
    assert whole.content == PICTURE
    assert (part.status_code, part.content) == (206, PICTURE[-5:])


async def test_an_upload_is_gone_on_with_and_given_up(alice: Person, bob: Person) -> None:
    begun = await alice.post("/v1/files/presigned", {"name": "x", "size_bytes": 5})
    path = f"/v1/files/presigned/{begun['id']}"
    assert [part["number"] for part in (await alice.get(path))["parts"]] == [1]
    await bob.get(path, expect=404)
    refused = await alice.post(f"{path}/complete", {"parts": []}, expect=409)
    assert refused["code"] == "parts-wrong"
    assert (await alice.http.delete(path)).status_code == 204
    assert (await alice.get(path, expect=410))["code"] == "upload-gone"


async def test_a_stranger_downloads_by_a_link_and_a_crawler_uses_nothing_up(
    alice: Person,
) -> None:
    file = await upload(alice)
    link = await alice.post(
        f"/v1/files/{file['id']}/links", {"max_downloads": 1, "password": "open sesame"}
    )
    async with stranger(alice.base_url) as http:
        for method in ("GET", "HEAD", "GET"):
            assert (await http.request(method, link["path"])).status_code == 200
        assert (await http.get(f"{link['path']}/content")).status_code == 405
        assert (await http.get(link["path"])).json()["asks_password"] is True
        refused = await http.post(f"{link['path']}/content")
        assert (refused.status_code, refused.json()["code"]) == (403, "link-password")

        password = {"password": "open sesame"}
        begun = await http.post(
            f"{link['path']}/content", json=password, headers={"Range": "bytes=0-999"}
        )
        assert (begun.status_code, begun.content) == (206, PICTURE[:1000])
        assert "holiday.png" in begun.headers["content-disposition"]
        rest = await http.post(
            f"{link['path']}/content",
            headers={
                "Range": "bytes=1000-",
                "Download-Claim": begun.headers["download-claim"],
            },
        )
        assert (rest.status_code, rest.content) == (206, PICTURE[1000:])
        over = await http.post(f"{link['path']}/content", json=password)
        assert (over.status_code, over.json()["code"]) == (410, "link-gone")


async def test_of_twenty_at_once_no_more_get_in_than_the_link_allows(alice: Person) -> None:
    file = await upload(alice, b"small")
    link = await alice.post(f"/v1/files/{file['id']}/links", {"max_downloads": 3})
    async with stranger(alice.base_url) as http:
        answers = await asyncio.gather(*(http.post(f"{link['path']}/content") for _ in range(20)))
    assert sorted(answer.status_code for answer in answers) == [200] * 3 + [410] * 17


async def test_a_link_ends_when_it_is_revoked_and_with_its_file(alice: Person) -> None:
    file = await upload(alice, b"small")
    links = f"/v1/files/{file['id']}/links"
    first, second = await alice.post(links, {}), await alice.post(links, {})
    listed = (await alice.get(links))["items"]
    assert {link["id"] for link in listed} == {first["id"], second["id"]}
    async with stranger(alice.base_url) as http:
        assert (await alice.http.delete(f"{links}/{first['id']}")).status_code == 204
        assert (await http.get(first["path"])).status_code == 404
        assert (await http.get(second["path"])).status_code == 200
        assert (await alice.http.delete(f"/v1/files/{file['id']}")).status_code == 204
        assert (await http.post(f"{second['path']}/content")).status_code in {404, 410}


async def test_conditions_hold_through_the_gateway(alice: Person) -> None:
    file = await upload(alice, b"small")
    content = f"/v1/files/{file['id']}/content"
    head = await alice.http.head(content)
    etag, modified = head.headers["etag"], head.headers["last-modified"]
    assert (head.status_code, head.headers["content-length"]) == (200, "5")
    for name, value, status in (
        ("If-None-Match", etag, 304),
        ("If-Modified-Since", modified, 304),
        ("If-Match", '"another"', 412),
        ("If-Match", etag, 200),
        ("Range", "bytes=9-", 416),
    ):
        answer = await alice.http.get(content, headers={name: value})
        assert answer.status_code == status, (name, answer.text)
