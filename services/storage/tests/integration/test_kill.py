"""A process of storage that is killed in the middle: what it acknowledged is there afterwards."""

import asyncio
import contextlib
import os
import re
import sys
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from services.storage.tests.support import cut, root_of, sha256
from sharezync_shared.ids import SessionId, UserId, uuid7
from sharezync_shared.tokens.issuer import TokenIssuer
from sharezync_shared.tokens.signing import SigningKey
from sharezync_testkit.waiting import wait_until

SECRET = "Vx2h9QmTz4Lr8KpWcY6nBd3GfJs5Ue7a"
CHUNK = 200_000


@dataclass(frozen=True)
class Served:
    """A process of storage."""

    process: asyncio.subprocess.Process
    inside: httpx.AsyncClient
    alice: httpx.AsyncClient
    folder: Path

    async def kill(self) -> None:
        self.process.kill()
        await self.process.wait()


@asynccontextmanager
async def served(
    database_url: str, data_dir: Path, alice: UserId, **environment: str
) -> AsyncGenerator[Served]:
    """Run `python -m sharezync_storage serve`, as anybody would."""
    log = data_dir / "log"
    log.write_bytes(b"")
    with log.open("wb") as out:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "sharezync_storage", "serve",
            env={
                "PATH": os.environ["PATH"],
                "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
                "DATABASE_URL": database_url,
                "DATA_DIR": str(data_dir),
                "SECRET_KEY": SECRET,
                "ALGORITHM": "HS256",
                "PORT": "0",
                **environment,
            },
            cwd=data_dir,
            stdout=out,
            stderr=out,
        )  # fmt: skip
    try:
        async with asyncio.timeout(40):
            while not (found := re.search(r'"port": (\d+)', log.read_text())):
                assert process.returncode is None, log.read_text()
                await asyncio.sleep(0.05)
        issuer = TokenIssuer(key=SigningKey.from_secret(SECRET))
        tokens = (
            issuer.service_token("gateway").token,
            issuer.access_token(user_id=alice, session_id=SessionId(uuid7())).token,
        )
        inside, person = (
            httpx.AsyncClient(
                base_url=f"http://127.0.0.1:{found[1]}",
                headers={"Authorization": f"Bearer {token}"},
                timeout=20,
            )
            for token in tokens
        )
        async with inside, person:
            yield Served(process, inside, person, data_dir / "files")
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@pytest.mark.timeout(180)
async def test_what_was_acknowledged_survives_kill_9(
    storage_database_url: str, tmp_path: Path
) -> None:
    alice = UserId(uuid7())
    data = os.urandom(60 * CHUNK - 77)
    chunks = cut(data, CHUNK)
    acknowledged: set[int] = set()

    async def send(storage: Served, upload: str, indexes: list[int]) -> None:
        while indexes:
            index = indexes.pop()
            answer = await storage.inside.put(
                f"/internal/uploads/{upload}/chunks/{index}",
                content=chunks[index],
                headers={"x-chunk-sha256": sha256(chunks[index])},
            )
            assert answer.status_code == 200, answer.text
            acknowledged.add(index)

    async def endless_form() -> AsyncIterator[bytes]:
        yield b'--b\r\nContent-Disposition: form-data; name="file"; filename="x"\r\n\r\n'
        while True:
            yield bytes(100_000)
            await asyncio.sleep(0.01)

    async with served(storage_database_url, tmp_path, alice) as storage:
        answer = await storage.inside.post(
            "/internal/uploads/begin",
            json={
                "owner_id": str(alice),
                "chunk_size_bytes": CHUNK,
                "files": [{"name": "film.mp4", "size_bytes": len(data), "sha256": sha256(data)}],
            },
        )
        upload = answer.json()["uploads"][0]["id"]
        left = list(range(len(chunks)))
        form = asyncio.create_task(
            storage.alice.post(
                "/v1/files",
                content=endless_form(),
                headers={"content-type": "multipart/form-data; boundary=b"},
            )
        )
        senders = [asyncio.create_task(send(storage, upload, left)) for _ in range(8)]
        await wait_until(lambda: len(acknowledged) >= 20, within_seconds=60)
        await storage.kill()
        with contextlib.suppress(httpx.HTTPError):
            await form
        outcomes = await asyncio.gather(*senders, return_exceptions=True)
        assert not [o for o in outcomes if o and not isinstance(o, httpx.HTTPError)]

    told = set(acknowledged)
    async with served(storage_database_url, tmp_path, alice) as storage:
        status = (await storage.inside.get(f"/internal/uploads/{upload}")).json()
        stored = {i for first, last in status["stored"] for i in range(first, last + 1)}
        assert told <= stored
        for index in stored:
            answer = await storage.inside.get(f"/internal/uploads/{upload}/chunks/{index}")
            assert answer.content == chunks[index]
        assert (await storage.alice.get("/v1/files")).json()["items"] == []
        await send(storage, upload, list(range(len(chunks))))  # again, all of them
        await storage.inside.post("/internal/uploads/finish", json={"ids": [upload]})
        await storage.kill()

    async with served(storage_database_url, tmp_path, alice) as storage:
        answer = await storage.inside.post("/internal/uploads/finish", json={"ids": [upload]})
        assert answer.json()["results"][0]["finished"]["root"] == root_of(chunks)
        [file] = (await storage.alice.get("/v1/files")).json()["items"]
        answer = await storage.alice.get(f"/v1/files/{file['id']}/content")
        assert answer.content == data
