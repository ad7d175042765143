"""The service as a process of its own, which can be killed and started again where it was."""

import asyncio
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import httpx

from sharezync_embedded.processes import free_port
from sharezync_shared.ids import SessionId, UserId, uuid7
from sharezync_shared.tokens.issuer import TokenIssuer
from sharezync_shared.tokens.signing import SigningKey

_SECRET: Final = "Vx2h9QmTz4Lr8KpWcY6nBd3GfJs5Ue7a"
_START_SECONDS: Final = 40


@dataclass
class StorageProcess:
    """`python -m sharezync_storage serve`, always at the same address."""

    database_url: str
    data_dir: Path
    port: int = field(default_factory=free_port)
    _process: asyncio.subprocess.Process | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Start it unless it is running, and return once it is ready."""
        if self._process is not None and self._process.returncode is None:
            return
        with (self.data_dir / "log").open("ab") as out:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "sharezync_storage", "serve",
                env={
                    "PATH": os.environ["PATH"],
                    "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
                    "DATABASE_URL": self.database_url,
                    "DATA_DIR": str(self.data_dir),
                    "SECRET_KEY": _SECRET,
                    "ALGORITHM": "HS256",
                    "PORT": str(self.port),
                },
                cwd=self.data_dir,
                stdout=out,
                stderr=out,
            )  # fmt: skip
        async with asyncio.timeout(_START_SECONDS), httpx.AsyncClient() as http:
            while not await _is_ready(http, self.url):
                log = (self.data_dir / "log").read_text()
                assert self._process.returncode is None, log
                await asyncio.sleep(0.05)

    async def kill(self) -> None:
        """End it at once, as a crash would."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()

    @staticmethod
    def token() -> str:
        """Return an access token of somebody new."""
        issuer = TokenIssuer(key=SigningKey.from_secret(_SECRET))
        return issuer.access_token(user_id=UserId(uuid7()), session_id=SessionId(uuid7())).token


async def _is_ready(http: httpx.AsyncClient, url: str) -> bool:
    try:
        return (await http.get(f"{url}/ready")).status_code == 200
    except httpx.HTTPError:
        return False
