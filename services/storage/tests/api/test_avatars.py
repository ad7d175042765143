"""Whoever may see a profile, which is every user, may read its picture, and nothing else."""

from uuid import UUID, uuid4

import pytest

from services.storage.tests.support import Json, Person, World

PICTURE = b"\x89PNG ..."


@pytest.fixture
async def bob(world: World) -> Person:
    return await world.person()


async def statuses(reader: Person, file: Json) -> list[int]:
    path = f"/v1/files/{file['id']}"
    return [
        (await reader.http.get(path)).status_code,
        (await reader.http.get(f"{path}/content")).status_code,
        (await reader.http.post(f"{path}/urls", json={})).status_code,
    ]


async def test_a_stranger_reads_a_picture_as_long_as_it_is_the_avatar(
    world: World, alice: Person, bob: Person
) -> None:
    file = await alice.upload(PICTURE, "me.png", "image/png")
    assert await statuses(bob, file) == [404] * 3
    world.avatars[alice.id] = UUID(file["id"])
    assert await statuses(bob, file) == [200, 200, 200]
    assert (await bob.content(file)).content == PICTURE
    assert (await bob.http.delete(f"/v1/files/{file['id']}")).status_code == 404
    world.avatars[alice.id] = uuid4()
    assert await statuses(bob, file) == [404] * 3
    del world.avatars[alice.id]  # as that of an account that is gone
    assert await statuses(bob, file) == [404] * 3


async def test_what_is_no_image_or_was_deleted_is_nobodys_avatar(
    world: World, alice: Person, bob: Person
) -> None:
    page = await alice.upload(b"<script>", "me.png", "text/html")
    world.avatars[alice.id] = UUID(page["id"])
    assert await statuses(bob, page) == [404] * 3
    picture = await alice.upload(PICTURE, "me.png", "image/png")
    world.avatars[alice.id] = UUID(picture["id"])
    await alice.http.delete(f"/v1/files/{picture['id']}")
    assert await statuses(bob, picture) == [404] * 3


async def test_a_file_is_the_avatar_of_its_owner_only(
    world: World, alice: Person, bob: Person
) -> None:
    file = await alice.upload(PICTURE, "me.png", "image/png")
    world.avatars[bob.id] = UUID(file["id"])
    assert await statuses(bob, file) == [404] * 3
