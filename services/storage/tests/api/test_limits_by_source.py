"""The same limits from every source, told with their numbers; sums that are right in the end."""

import asyncio
import os
import random

import httpx
import pytest
from sqlalchemy import func
from sqlmodel import col, select

from services.storage.tests.holding import hear
from services.storage.tests.support import Person, World, code_of
from sharezync_shared.events.contracts import UserDeleted
from sharezync_storage.models import File, Upload, Usage
from sharezync_storage.settings import StorageSettings

TUS = {"tus-resumable": "1.0.0"}
OCTETS = {"content-type": "application/offset+octet-stream"}
SOURCES = ["form", "chunks", "tus", "tus, length told later"]


@pytest.fixture
def settings(settings: StorageSettings) -> StorageSettings:
    return settings.model_copy(update={"quota_bytes": 10_000, "max_file_bytes": 6_000})


async def bring(world: World, person: Person, source: str, size: int) -> httpx.Response:
    """Bring so many bytes from a source; return the last answer, or the first refusal."""
    data = os.urandom(size)
    match source:
        case "form":
            return await person.try_upload(data)
        case "chunks":
            answer = await world.try_begin(person, size)
            if answer.status_code != 201:
                return answer
            upload = answer.json()
            for index, start in enumerate(range(0, size, 1000)):
                await world.put(upload, index, data[start : start + 1000])
            return await world.finish(upload)
        case "tus":
            headers = {**TUS, **OCTETS, "upload-length": str(size)}
            return await person.http.post("/v1/uploads", headers=headers, content=data)
    headers = {**TUS, "upload-defer-length": "1"}
    answer = await person.http.post("/v1/uploads", headers=headers)
    headers = {**TUS, **OCTETS, "upload-offset": "0", "upload-length": str(size)}
    return await person.http.patch(answer.headers["location"], headers=headers, content=data)


@pytest.mark.parametrize("source", SOURCES)
async def test_a_file_that_is_too_large_is_told_the_limit(
    world: World, alice: Person, source: str
) -> None:
    answer = await bring(world, alice, source, 6_001)
    assert (answer.status_code, code_of(answer)) == (413, "file-too-large")
    assert answer.json()["limit_bytes"] == 6_000
    assert (await bring(world, alice, source, 6_000)).is_success


@pytest.mark.parametrize("source", SOURCES)
async def test_who_has_no_room_left_is_told_how_much_there_is(
    world: World, alice: Person, source: str
) -> None:
    await alice.upload(bytes(5_000))
    answer = await bring(world, alice, source, 5_001)
    assert (answer.status_code, code_of(answer)) == (507, "quota-exceeded")
    told = answer.json()
    assert (told["quota_bytes"], told["used_bytes"]) == (10_000, 5_000)
    assert told["wanted_bytes"] <= 5_001
    assert (await bring(world, alice, source, 5_000)).is_success
    assert (await alice.usage())[0] == 10_000


async def test_whatever_many_do_at_once_the_sums_are_those_of_the_rows(world: World) -> None:
    """Reserve, finish, give up, delete, let go and erase, from all sources, at the same time."""
    people = [await world.person() for _ in range(4)]
    chance = random.Random(7)

    async def busy(person: Person, source: str) -> None:
        for _ in range(4):
            answer = await bring(world, person, source, chance.randrange(1, 1500))
            if not answer.is_success:
                # From under who is erased, uploads vanish at any moment.
                assert code_of(answer) == "quota-exceeded" or person is people[0]
                assert answer.status_code != httpx.codes.INTERNAL_SERVER_ERROR
            listed = (await person.http.get("/v1/files")).json()["items"]
            if listed and chance.random() < 0.6:
                query = chance.choice(["", "?everywhere=true"])
                await person.http.delete(f"/v1/files/{chance.choice(listed)['id']}{query}")

    async def erased(person: Person) -> None:
        for _ in range(2):
            await asyncio.sleep(0.05)
            await hear(world, UserDeleted(user_id=person.id))

    await asyncio.gather(
        *(busy(person, source) for person in people for source in SOURCES),
        *(begin_and_give_up(world, person, chance) for person in people),
        erased(people[0]),
    )
    for person in people:
        await check_sums(world, person)


async def begin_and_give_up(world: World, person: Person, chance: random.Random) -> None:
    """Begin uploads, bring something to some, and have none of them become a file."""
    for _ in range(4):
        answer = await world.try_begin(person, 900)
        if answer.status_code == 201:
            if chance.random() < 0.5:
                await world.put(answer.json(), 0, bytes(900))
            await world.abort(answer.json())


async def check_sums(world: World, person: Person) -> None:
    """Hold what counts as used and reserved against the rows that it is the sum of."""
    async with world.app.state.work.read() as unit:
        usage = await unit.get(Usage, person.id)
        files = select(func.coalesce(func.sum(File.size_bytes), 0)).where(
            File.owner_id == person.id, col(File.deleted_at).is_(None)
        )
        reserved = select(func.coalesce(func.sum(Upload.reserved_bytes), 0)).where(
            Upload.owner_id == person.id
        )
        usage = usage or Usage(user_id=person.id)  # erased, and nothing came in again
        assert usage.used_bytes == (await unit.session.exec(files)).one()
        assert usage.reserved_bytes == (await unit.session.exec(reserved)).one()
        assert usage.used_bytes + usage.reserved_bytes <= 10_000
