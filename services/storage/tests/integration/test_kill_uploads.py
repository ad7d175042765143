"""Storage is killed at every step of an upload, on disk and on S3; the client resumes.

What comes out is what went in, nothing that was acknowledged is asked for again, and when all is
collected nothing is left but the files.
"""

import asyncio
import os
import re
import signal
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import aioboto3
import asyncpg
import httpx
import pytest

from services.storage.tests.integration import dying_storage
from sharezync_shared.db.database import plain_dsn
from sharezync_shared.ids import SessionId, UserId, uuid7
from sharezync_shared.tokens.issuer import TokenIssuer
from sharezync_shared.tokens.signing import SigningKey
from sharezync_storage.keys import file_key
from sharezync_storage.settings import MIB
from sharezync_testkit.servers import S3Server
from sharezync_testkit.waiting import GIVE_UP_SECONDS

SECRET: Final = "Vx2h9QmTz4Lr8KpWcY6nBd3GfJs5Ue7a"
TUS: Final = {"Tus-Resumable": "1.0.0"}

ANYWHERE: Final = (
    "before _claim 1",
    "after _claim 1",
    "after _claim 2",
    "before record 1",
    "after record 1",
    "before record 2",
    "after record 3",
    "before let_go 1",
    "after let_go 2",
    "before assemble 1",
    "after assemble 1",
    "before stand 1",
    "after stand 1",
    "after _finish 1",
    "before discard 1",
    "after discard 1",
)
ON_DISK: Final = ("before fdatasync 1", "before fdatasync 2", "before link 1", "after link 1")
ON_S3: Final = (
    "before put 1",
    "after put 1",
    "before put 3",
    "after put 3",
    "before delete 1",
    "after delete 1",
    "before begin_parts 1",
    "after begin_parts 1",
    "after copy_part 1",
    "before complete_parts 1",
    "after complete_parts 1",
)


# Half a minute each, where the machine is busy: MOMENTS=all walks every one of them.
FEW: Final = ("after record 3", "after assemble 1", "before discard 1")
FEW_ON_S3: Final = (
    "after put 3",
    "before delete 1",
    "after begin_parts 1",
    "after copy_part 1",
    "before complete_parts 1",
    "after complete_parts 1",
)


def moments(few: Sequence[str], every: Sequence[str]) -> list[str]:
    """Return those to die at in this run."""
    return list(every if os.environ.get("MOMENTS") == "all" else few)


@dataclass
class Storage:
    """A process of storage, and whoever uploads to it. Begun again whenever it has died."""

    url: str
    folder: Path
    more: dict[str, str]
    owner: UserId = field(default_factory=lambda: UserId(uuid7()))
    process: ForkServerProcess | None = None
    http: httpx.AsyncClient = field(default_factory=httpx.AsyncClient)

    async def begin(self) -> None:
        """Start it, and wait until it serves."""
        log = self.folder / "log"
        log.write_bytes(b"")
        environment = {
            "PATH": os.environ["PATH"],
            "DATABASE_URL": self.url,
            "DATA_DIR": str(self.folder),
            "SECRET_KEY": SECRET,
            "ALGORITHM": "HS256",
            "PORT": "0",
            "DIE_AT": str(self.folder / "die_at"),
            **self.more,
        }
        self.process = dying_storage.start(environment, self.folder, log)
        async with asyncio.timeout(60):
            while not (found := re.search(r'"port": (\d+)', log.read_text())):
                assert self.process.is_alive(), log.read_text()
                await asyncio.sleep(0.05)
        await self.http.aclose()
        token = TokenIssuer(key=SigningKey.from_secret(SECRET)).access_token(
            user_id=self.owner, session_id=SessionId(uuid7())
        )
        self.http = httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{found[1]}",
            headers={"Authorization": f"Bearer {token.token}"},
            timeout=30,
        )

    async def end(self) -> None:
        """Kill it, if it lives."""
        await self.http.aclose()
        if self.process is not None:
            self.process.kill()
            await asyncio.to_thread(self.process.join)

    def name(self, moment: str) -> None:
        """Say when to die; an empty moment never comes."""
        (self.folder / "die_at").write_text(moment)

    async def has_died(self) -> bool:
        """Whether it is dead, or dies soon after the line to it broke."""
        assert self.process is not None
        await asyncio.to_thread(self.process.join, GIVE_UP_SECONDS)
        return not self.process.is_alive()

    async def sql(self, statement: str, *given: object) -> list[Any]:
        """Look into the database, or hurry the clock."""
        connection = await asyncpg.connect(plain_dsn(self.url))
        try:
            return list(await connection.fetch(statement, *given))
        finally:
            await connection.close()

    async def until(self, statement: str) -> None:
        """Wait until a statement finds nothing any more; the sweep looks by the clock."""
        async with asyncio.timeout(60):
            while await self.sql(statement):  # noqa: ASYNC110 - tables tell nobody
                await asyncio.sleep(0.1)


@dataclass
class Client:
    """Somebody with one upload, who remembers what was acknowledged."""

    storage: Storage
    data: bytes
    step: int
    upload_id: str = ""
    acknowledged: int = 0

    @property
    def url(self) -> str:
        return f"/v1/uploads/{self.upload_id}"

    async def begin(self) -> None:
        answer = await self.storage.http.post(
            "/v1/uploads", headers={**TUS, "Upload-Length": str(len(self.data))}
        )
        assert answer.status_code == 201, answer.text
        self.upload_id = answer.headers["location"].rsplit("/", 1)[1]

    async def send(self) -> None:
        """Send what is missing, a step at a time."""
        while self.acknowledged < len(self.data):
            end = self.acknowledged + self.step
            answer = await self.storage.http.patch(
                self.url,
                content=self.data[self.acknowledged : end],
                headers={
                    **TUS,
                    "Content-Type": "application/offset+octet-stream",
                    "Upload-Offset": str(self.acknowledged),
                },
            )
            assert answer.status_code == 204, answer.text
            self.acknowledged = int(answer.headers["upload-offset"])

    async def resume(self) -> None:
        """Ask where to go on, and go on."""
        answer = await self.storage.http.head(self.url, headers=TUS)
        assert answer.status_code == 200, answer.text
        offset = int(answer.headers["upload-offset"])
        assert offset >= self.acknowledged, "what was acknowledged is lost"
        self.acknowledged = offset
        await self.send()

    async def check(self) -> None:
        answer = await self.storage.http.get(f"/v1/files/{self.upload_id}/content")
        assert answer.status_code == 200, answer.text
        assert answer.content == self.data


@asynccontextmanager
async def storage_at(url: str, folder: Path, more: dict[str, str]) -> AsyncGenerator[Storage]:
    storage = Storage(url, folder, more)
    storage.name("")
    await storage.begin()
    try:
        yield storage
    finally:
        await storage.end()


async def torment(
    storage: Storage, moments: Sequence[str], data: Callable[[], bytes], step: int
) -> list[Client]:
    """Upload once for each moment, with a death at it; return all clients, their files whole."""
    clients = []
    for moment in moments:
        client = Client(storage, data(), step)
        clients.append(client)
        await client.begin()
        storage.name(moment)
        try:
            await client.send()
        except httpx.HTTPError:
            assert await storage.has_died(), moment
        else:  # at a moment that comes when nobody waits
            await storage.sql("UPDATE storage.deletions SET due_at = now()")
            async with asyncio.timeout(60):
                while not await storage.has_died():
                    pass
        assert storage.process is not None
        assert storage.process.exitcode == -signal.SIGKILL, moment
        storage.name("")
        await storage.begin()
        await client.resume()
        # Nobody works on it, as the lease says in half a minute: the sweep finishes it.
        await storage.sql(
            "UPDATE storage.uploads SET leased_until = now() WHERE state = 'verifying'"
        )
        await storage.until(
            f"SELECT FROM storage.uploads WHERE id = '{client.upload_id}' AND state <> 'finished'"
        )
        await client.check()
    return clients


async def collect(storage: Storage) -> None:
    """Have everything deleted that nobody needs, both times."""
    async with asyncio.timeout(60):
        due_now = "UPDATE storage.deletions SET due_at = now() RETURNING id"
        while await storage.sql(due_now):  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.2)


async def check_room(storage: Storage, clients: Sequence[Client]) -> None:
    kept = sum(len(client.data) for client in clients)
    usage = (await storage.http.get("/v1/usage")).json()
    assert (usage["used_bytes"], usage["reserved_bytes"]) == (kept, 0)


@pytest.mark.timeout(600)
async def test_a_process_killed_at_any_step_loses_and_leaves_nothing_on_disk(
    storage_database_url: str, tmp_path: Path
) -> None:
    async with storage_at(storage_database_url, tmp_path, {}) as storage:
        clients = await torment(
            storage,
            moments([*FEW, *ON_DISK], [*ANYWHERE, *ON_DISK]),
            lambda: os.urandom(3 * MIB + 5),
            MIB,
        )
        await collect(storage)
        for client in clients:
            await client.check()
        await check_room(storage, clients)
        files = tmp_path / "files"
        kept = {str(p.relative_to(files)) for p in files.rglob("*") if p.is_file()} - {".lock"}
        assert kept == {file_key(UUID(client.upload_id)) for client in clients}


@pytest.mark.timeout(900)
async def test_a_process_killed_at_any_step_loses_and_leaves_nothing_on_s3(
    storage_database_url: str, tmp_path: Path, s3_server: S3Server
) -> None:
    bucket = s3_server.bucket()
    more = {
        "S3_BUCKET_NAME": bucket,
        "S3_ENDPOINT_URL": s3_server.endpoint_url,
        "AWS_DEFAULT_REGION": s3_server.region,
        "AWS_ACCESS_KEY_ID": s3_server.access_key_id,
        "AWS_SECRET_ACCESS_KEY": s3_server.secret_access_key,
    }
    async with storage_at(storage_database_url, tmp_path, more) as storage:
        clients = await torment(
            storage,
            moments([*FEW, *FEW_ON_S3], [*ANYWHERE, *ON_S3]),
            lambda: os.urandom(17 * MIB + 5),
            5 * MIB,
        )
        await collect(storage)
        for client in clients:
            await client.check()
        await check_room(storage, clients)
    session = aioboto3.Session(
        aws_access_key_id=s3_server.access_key_id,
        aws_secret_access_key=s3_server.secret_access_key,
        region_name=s3_server.region,
    )
    async with session.client("s3", endpoint_url=s3_server.endpoint_url) as s3:
        listed = await s3.list_objects_v2(Bucket=bucket)
        keys = {entry["Key"] for entry in listed.get("Contents", [])}
        under_way = (await s3.list_multipart_uploads(Bucket=bucket)).get("Uploads", [])
        parts = [
            await s3.list_parts(Bucket=bucket, Key=one["Key"], UploadId=one["UploadId"])
            for one in under_way
        ]
    assert keys == {file_key(UUID(client.upload_id)) for client in clients}
    # One that was begun in the very moment of a death: nobody could write down its id any more.
    # It has no bytes, and a rule of the bucket's life cycle ends it.
    assert len(under_way) <= 1
    assert not any(one.get("Parts") for one in parts)
