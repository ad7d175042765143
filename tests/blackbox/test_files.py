"""Files: stored, attached to messages, read by members, refused to strangers."""

import os

import httpx

from tests.blackbox.people import Json, Person

PICTURE = os.urandom(300_000)


async def upload(person: Person, name: str = "holiday.png", content: bytes = PICTURE) -> Json:
    answer = await person.http.post("/v1/files", files={"file": (name, content, "image/png")})
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


async def fetch(person: Person, location: str) -> httpx.Response:
    """Go where a 307 leads, as a browser does: without our token."""
    async with httpx.AsyncClient(base_url=person.base_url) as stranger:
        return await stranger.get(location)


async def test_an_uploaded_file_comes_back_whole_and_in_parts(alice: Person) -> None:
    file = await upload(alice)
    content = await alice.http.get(f"/v1/files/{file['id']}/content")
    part = await alice.http.get(
        f"/v1/files/{file['id']}/content", headers={"Range": "bytes=1000-1999"}
    )

    assert file["size_bytes"] == len(PICTURE)
    assert content.content == PICTURE
    assert content.headers["x-content-type-options"] == "nosniff"
    assert part.status_code == 206
    assert part.content == PICTURE[1000:2000]


async def test_a_member_reads_an_attachment_and_a_stranger_does_not(
    alice: Person, bob: Person, carol: Person
) -> None:
    channel_id = await alice.channel()
    await alice.add(channel_id, bob)
    file = await upload(alice)
    async with bob.connected() as bobs:
        message = await alice.say(channel_id, "look", attachments=[file["id"]])
        event = await bobs.event("message.created", id=message["id"])
    path = f"/v1/messages/{message['id']}/attachments/{file['id']}"

    assert event["data"]["attachments"][0]["name"] == "holiday.png"
    assert event["data"]["attachments"][0]["size_bytes"] == len(PICTURE)
    redirect = await bob.http.get(path)
    assert redirect.status_code == 307, redirect.text
    assert (await fetch(bob, redirect.headers["location"])).content == PICTURE
    assert (await carol.http.get(path)).status_code == 404
    assert (await bob.http.get(f"/v1/files/{file['id']}")).status_code == 404


async def test_a_forged_signature_opens_nothing(alice: Person) -> None:
    channel_id = await alice.channel()
    file = await upload(alice)
    message = await alice.say(channel_id, "mine", attachments=[file["id"]])
    answer = await alice.http.get(f"/v1/messages/{message['id']}/attachments/{file['id']}")
    location = answer.headers["location"]
    forged = location[:-2] + ("00" if location[-2:] != "00" else "11")

    assert (await fetch(alice, location)).status_code == 200
    assert (await fetch(alice, forged)).status_code in {401, 403, 404}


async def test_one_may_attach_only_ones_own_files(alice: Person, bob: Person) -> None:
    channel_id = await alice.channel()
    await alice.add(channel_id, bob)
    file = await upload(alice)
    refused = await bob.http.post(
        f"/v1/channels/{channel_id}/messages", json={"text": "x", "attachments": [file["id"]]}
    )
    assert refused.status_code in {404, 422}
