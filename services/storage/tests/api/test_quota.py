"""Room: reserved up front, right under concurrency, given back in the end."""

import asyncio

from services.storage.tests.support import World, code_of
from sharezync_storage.settings import StorageSettings


async def test_a_newcomer_has_the_whole_quota(world: World, settings: StorageSettings) -> None:
    alice = await world.person()
    assert (await alice.http.get("/v1/usage")).json() == {
        "quota_bytes": settings.quota_bytes,
        "used_bytes": 0,
        "reserved_bytes": 0,
    }


async def test_reservations_at_the_same_time_never_overdraw_together(
    world: World, settings: StorageSettings
) -> None:
    alice = await world.person()
    size = settings.quota_bytes // 7
    answers = await asyncio.gather(*(world.try_begin(alice, size, 10**6) for _ in range(20)))
    granted = [answer for answer in answers if answer.status_code == 201]
    assert len(granted) == 7
    assert {code_of(a) for a in answers if a.status_code != 201} == {"quota-exceeded"}
    assert await alice.usage() == (0, 7 * size)
    await asyncio.gather(*(world.abort(answer.json()) for answer in granted))
    assert await alice.usage() == (0, 0)


async def test_uploads_finished_deleted_and_refused_at_the_same_time_add_up(
    world: World,
) -> None:
    alice = await world.person()
    kept = await asyncio.gather(*(alice.upload(bytes(1000)) for _ in range(10)))
    jobs = [alice.http.delete(f"/v1/files/{file['id']}") for file in kept[:5]]
    jobs += [alice.try_upload(bytes(2000)) for _ in range(5)]
    jobs += [world.try_begin(alice, 300) for _ in range(5)]
    jobs += [alice.http.post("/v1/files", files={"wrong": b"x"}) for _ in range(5)]
    await asyncio.gather(*jobs)
    assert await alice.usage() == (5 * 1000 + 5 * 2000, 5 * 300)


async def test_deleting_at_the_same_time_gives_the_room_back_once(world: World) -> None:
    alice = await world.person()
    await alice.upload(bytes(500))
    file = await alice.upload(bytes(1000))
    url = f"/v1/files/{file['id']}"
    answers = await asyncio.gather(*(alice.http.delete(url) for _ in range(5)))
    assert sorted(answer.status_code for answer in answers) == [204, 404, 404, 404, 404]
    assert await alice.usage() == (500, 0)


async def test_one_user_does_not_use_up_anothers_room(
    world: World, settings: StorageSettings
) -> None:
    alice, bob = await world.person(), await world.person()
    await world.begin(alice, settings.max_file_bytes, 10**6)
    await world.begin(bob, settings.max_file_bytes, 10**6)
    assert await bob.usage() == (0, settings.max_file_bytes)
