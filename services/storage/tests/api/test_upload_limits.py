"""How much a user may have under way: room that is right at any moment, and a number of uploads."""

import asyncio
import contextlib
import random
from datetime import timedelta
from uuid import UUID

import pytest
from sqlmodel import select

from services.storage.tests.lines import Sender, broken, whole
from services.storage.tests.support import Person, World, allow, code_of
from sharezync_shared.contracts.storage import QuotaExceeded, TooManyFiles, TooManyUploads
from sharezync_storage.errors import BodyBroken
from sharezync_storage.models import File, Upload, Usage
from sharezync_storage.settings import MIB
from sharezync_storage.usecases import collecting, quota


async def test_room_is_reserved_when_an_upload_begins(world: World, alice: Person) -> None:
    allow(world, quota_bytes=1000)
    first = await Sender.begin(world, alice, 600)
    with pytest.raises(QuotaExceeded) as refusal:
        await Sender.begin(world, alice, 401)
    assert refusal.value.extras["reserved_bytes"] == 600
    second = await Sender.begin(world, alice, 400)
    assert await alice.usage() == (0, 1000)
    await first.append(0, bytes(600))
    await second.terminate()
    assert await alice.usage() == (600, 0)


async def test_without_a_length_room_is_reserved_in_steps_as_bytes_come(
    world: World, alice: Person
) -> None:
    sender = await Sender.begin(world, alice, None)
    assert await alice.usage() == (0, 0)
    await sender.append(0, b"x")
    assert await alice.usage() == (0, 16 * MIB)
    await sender.append(1, bytes(17 * MIB))
    assert await alice.usage() == (0, 32 * MIB)
    size = 1 + 17 * MIB
    await sender.append(size, b"", length=size)
    assert await alice.usage() == (size, 0)


async def test_steps_reserve_no_more_than_there_is_nor_than_one_file_may_have(
    world: World, alice: Person
) -> None:
    allow(world, quota_bytes=5000)
    sender = await Sender.begin(world, alice, None)
    await sender.append(0, bytes(100))
    assert await alice.usage() == (0, 100)
    with pytest.raises(QuotaExceeded):
        await sender.append(100, whole(bytes(4900), b"x"))
    assert (await sender.offset(), await alice.usage()) == (5000, (0, 5000))
    await sender.terminate()
    allow(world, quota_bytes=5000, max_file_bytes=3000)
    sender = await Sender.begin(world, alice, None)
    await sender.append(0, bytes(100))
    assert await alice.usage() == (0, 3000)


async def test_a_length_that_is_told_later_reserves_what_is_missing(
    world: World, alice: Person
) -> None:
    allow(world, quota_bytes=1000)
    sender = await Sender.begin(world, alice, None)
    await sender.append(0, bytes(100))
    with pytest.raises(QuotaExceeded):
        await sender.append(100, b"x", length=1001)
    assert (await sender.look()).size_bytes is None
    await sender.append(100, b"x", length=1000)
    assert await alice.usage() == (0, 1000)


async def test_no_more_uploads_than_so_many_are_under_way_from_any_source(
    world: World, alice: Person
) -> None:
    allow(world, max_uploads_per_user=3)
    first = await Sender.begin(world, alice, 10)
    await Sender.begin(world, alice, 10, partial=True)
    chunked = await world.begin(alice, 10)
    with pytest.raises(TooManyUploads) as refusal:
        await Sender.begin(world, alice, 10)
    assert refusal.value.extras == {"limit": 3, "under_way": 3}
    assert int(refusal.value.headers["Retry-After"]) > 0
    for answer in (await world.try_begin(alice, 10), await alice.try_upload(b"x")):
        assert (answer.status_code, code_of(answer)) == (429, "too-many-uploads")
    assert await alice.usage() == (0, 30)
    await Sender.begin(world, await world.person(), 10)  # nobody else's business
    await first.append(0, bytes(10))  # has finished: counts no more
    await world.abort(chunked)
    for _ in range(2):
        await Sender.begin(world, alice, 10)
    with pytest.raises(TooManyUploads):
        await Sender.begin(world, alice, 10)


async def test_uploads_begun_at_the_same_time_count_each_other(world: World, alice: Person) -> None:
    allow(world, max_uploads_per_user=5)
    begun = await asyncio.gather(
        *(Sender.begin(world, alice, 10) for _ in range(12)), return_exceptions=True
    )
    assert sum(isinstance(one, Sender) for one in begun) == 5
    assert sum(isinstance(one, TooManyUploads) for one in begun) == 7
    assert await alice.usage() == (0, 50)


async def file_count(world: World, person: Person) -> int:
    async with world.app.state.work.read() as unit:
        usage = await unit.get(Usage, person.id)
    return 0 if usage is None else usage.file_count


async def test_files_are_counted_however_small_from_any_source(world: World, alice: Person) -> None:
    allow(world, max_files_per_user=5)
    files = [await alice.upload(b"") for _ in range(2)]
    sender = await Sender.begin(world, alice, 10)
    answers = await asyncio.gather(*(alice.try_upload(b"") for _ in range(9)))
    assert sorted(answer.status_code for answer in answers) == [201] * 2 + [409] * 7
    assert {code_of(answer) for answer in answers if answer.is_error} == {"too-many-files"}
    with pytest.raises(TooManyFiles):
        await Sender.begin(world, alice, 0)
    assert (await world.try_begin(alice, 10)).status_code == 409
    await sender.append(0, bytes(10))
    assert (await alice.http.delete(f"/v1/files/{files[0]['id']}")).status_code == 204
    assert await file_count(world, alice) == 4
    assert (await alice.try_upload(b"")).status_code == 201
    assert (await alice.try_upload(b"")).status_code == 409
    assert (await (await world.person()).try_upload(b"")).status_code == 201


async def test_uploads_that_ended_are_forgotten_when_there_are_many(
    world: World, alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quota, "ENDED_KEPT", 3)
    for _ in range(12):
        sender = await Sender.begin(world, alice, 10)
        await sender.terminate()
    async with world.app.state.work.read() as unit:
        kept = await unit.session.exec(select(Upload).where(Upload.owner_id == alice.id))
        assert len(kept.all()) <= 2 * 3 + 2
    assert await alice.usage() == (0, 0)


async def test_a_file_that_was_deleted_a_month_ago_is_forgotten(
    world: World, alice: Person
) -> None:
    old, new = await alice.upload(b"old"), await alice.upload(b"new")
    for file in (old, new):
        assert (await alice.http.delete(f"/v1/files/{file['id']}")).status_code == 204
    async with world.app.state.work.begin() as unit:
        row = await unit.get(File, UUID(old["id"]))
        row.deleted_at -= timedelta(days=31)
    await collecting.forget_deleted(world.app.state.work)
    async with world.app.state.work.read() as unit:
        assert await unit.get(File, UUID(old["id"])) is None
        assert await unit.get(File, UUID(new["id"])) is not None


class Crowd:
    """Many uploads of one user, of all kinds, at once; and what must be taken in the end."""

    def __init__(self, world: World, owner: Person, seed: int) -> None:
        self.world = world
        self.owner = owner
        self.dice = random.Random(seed)
        self.used: dict[str, int] = {}
        self.reserved: dict[str, int] = {}

    async def act(self) -> None:
        """Do something, or be refused for want of room."""
        job = self.dice.choice([self.plain, self.plain, self.deferred, self.form])
        with contextlib.suppress(QuotaExceeded):
            await job(self.dice.randrange(1, 5000))

    async def plain(self, size: int) -> None:
        sender = await Sender.begin(self.world, self.owner, size)
        breaks, ends = self.dice.random() < 0.3, self.dice.random() < 0.4
        if breaks:
            with pytest.raises(BodyBroken):
                await sender.append(0, broken(bytes(size // 2)))
        else:
            await sender.append(0, bytes(size))
        if ends:
            await sender.terminate()
        else:
            (self.reserved if breaks else self.used)[str(sender.id)] = size

    async def deferred(self, size: int) -> None:
        sender = await Sender.begin(self.world, self.owner, None)
        try:
            await sender.append(0, bytes(size))
            await sender.append(size, b"", length=size)
            self.used[str(sender.id)] = size
        except QuotaExceeded:
            await sender.terminate()

    async def form(self, size: int) -> None:
        answer = await self.owner.try_upload(bytes(size))
        assert answer.status_code in (201, 507)
        if answer.status_code == 201:
            self.used[answer.json()["id"]] = size


@pytest.mark.parametrize("seed", range(3))
async def test_room_adds_up_whatever_many_do_at_once(
    world: World, alice: Person, seed: int
) -> None:
    allow(world, quota_bytes=60_000)
    crowd = Crowd(world, alice, seed)
    await asyncio.gather(*(crowd.act() for _ in range(15)))  # as many as there are connections
    assert await alice.usage() == (sum(crowd.used.values()), sum(crowd.reserved.values()))
    assert crowd.used


async def test_the_same_key_again_is_answered_with_the_first_file(
    world: World, alice: Person
) -> None:
    async def send(data: bytes, key: str) -> tuple[int, str]:
        answer = await alice.http.post(
            "/v1/files", files={"file": ("a.txt", data)}, headers={"Idempotency-Key": key}
        )
        return answer.status_code, answer.json().get("id", answer.json().get("code"))

    first = await send(b"first", "k1")
    assert await send(b"second", "k1") == first
    assert await send(b"second", "k2") != first
    assert await alice.usage() == (11, 0)
    assert len((await alice.http.get("/v1/files")).json()["items"]) == 2
    bob = await world.person()
    answer = await bob.http.post(
        "/v1/files", files={"file": ("a.txt", b"bob's")}, headers={"Idempotency-Key": "k1"}
    )
    assert answer.json()["id"] != first[1]
    await alice.http.delete(f"/v1/files/{first[1]}")
    assert await send(b"first", "k1") == (410, "upload-gone")


async def test_the_same_key_at_the_same_time_stores_one_file(world: World, alice: Person) -> None:
    answers = await asyncio.gather(
        *(
            alice.http.post(
                "/v1/files",
                files={"file": ("a.txt", bytes(3 * MIB))},
                headers={"Idempotency-Key": "k"},
            )
            for _ in range(5)
        )
    )
    assert {answer.status_code for answer in answers} <= {201, 423}
    assert len({answer.json()["id"] for answer in answers if answer.status_code == 201}) == 1
    assert len((await alice.http.get("/v1/files")).json()["items"]) == 1
    assert await alice.usage() == (3 * MIB, 0)
    await world.left(1)


async def test_a_key_is_free_again_where_its_upload_failed(world: World, alice: Person) -> None:
    for _ in range(2):
        answer = await alice.http.post(
            "/v1/files", files={"wrong": b"x"}, headers={"Idempotency-Key": "k"}
        )
        assert answer.status_code == 422
    answer = await alice.http.post(
        "/v1/files", files={"file": b"x"}, headers={"Idempotency-Key": "k"}
    )
    assert answer.status_code == 201
    assert await alice.usage() == (1, 0)
