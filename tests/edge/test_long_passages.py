"""Through the proxies as they are deployed: uploads that take long, and sockets that say nothing.

`make differential` sends 1 GiB (LONG_UPLOAD_MIB=1024); `make test` little.
"""

import asyncio
import hashlib
import os
import re
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import httpx
import pytest
import websockets

from tests.blackbox.people import Person
from tests.edge.conftest import found, port_of
from tests.edge.proxies import CONFIGURATIONS, Proxy
from tests.edge.test_deployed_proxies import DEPLOYED

MIB: Final = 1024 * 1024
UPLOAD_MIB: Final = int(os.environ.get("LONG_UPLOAD_MIB", "24"))
TUS: Final = {"Tus-Resumable": "1.0.0"}
_BLOCK: Final = os.urandom(MIB)

TIMES_FASTER: Final = 100
IDLE_SECONDS: Final = 600
"""Of a socket on which neither end says anything, though both ends ping every 20 s in truth."""

pytestmark = pytest.mark.timeout(600)


def block(number: int) -> bytes:
    """Return the part of the file at this place; no two are alike."""
    return number.to_bytes(8, "big") + _BLOCK[8:]


async def blocks() -> AsyncIterator[bytes]:
    """The whole file, a second's pause in the midst of it."""
    for number in range(UPLOAD_MIB):
        if number == UPLOAD_MIB // 2:
            await asyncio.sleep(1)
        yield block(number)


@pytest.mark.parametrize("name", DEPLOYED)
async def test_a_long_upload_in_one_request_goes_through_and_comes_back(
    name: str, tmp_path: Path, base_url: str, alice: Person
) -> None:
    began = time.monotonic()
    size = UPLOAD_MIB * MIB
    with proxy_to(name, tmp_path, port_of(base_url)) as proxy:
        async with httpx.AsyncClient(
            base_url=proxy.url, headers=dict(alice.http.headers), timeout=120
        ) as http:
            made = await http.post("/v1/uploads", headers={**TUS, "Upload-Length": str(size)})
            assert made.status_code == 201, made.text
            url = urlsplit(made.headers["location"]).path
            kind = {"Upload-Offset": "0", "Content-Type": "application/offset+octet-stream"}
            sent = await http.patch(url, content=blocks(), headers={**TUS, **kind})
            assert (sent.status_code, sent.headers["upload-offset"]) == (204, str(size)), sent.text
            up = time.monotonic() - began

            file_id = url.rpartition("/")[2]
            async with asyncio.timeout(120):  # it is verified, and becomes a file
                while (await http.get(f"/v1/files/{file_id}")).status_code != 200:  # noqa: ASYNC110 - nobody tells
                    await asyncio.sleep(0.1)
            digest = hashlib.sha256()
            async with http.stream("GET", f"/v1/files/{file_id}/content") as answer:
                async for piece in answer.aiter_raw():
                    digest.update(piece)
            await http.delete(f"/v1/files/{file_id}")
    whole = hashlib.sha256()
    for number in range(UPLOAD_MIB):
        whole.update(block(number))
    assert digest.hexdigest() == whole.hexdigest()
    assert not large_files(tmp_path), "nothing was kept on the proxy's disk"
    seconds = time.monotonic() - began
    sys.stdout.write(f"\n  {name}: {UPLOAD_MIB} MiB up in {up:.1f} s, whole in {seconds:.1f} s")


@pytest.mark.parametrize("name", DEPLOYED)
async def test_a_silent_socket_outlives_ten_minutes(
    name: str, tmp_path: Path, base_url: str, alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where all the proxy's patience of over a minute ends a hundred times sooner."""
    kind, text = CONFIGURATIONS[name]
    in_a_hurry = {**CONFIGURATIONS, name: (kind, hurried(text))}
    monkeypatch.setattr("tests.edge.proxies.CONFIGURATIONS", in_a_hurry)
    with proxy_to(name, tmp_path, port_of(base_url)) as proxy:
        url = urlsplit(proxy.url)
        async with websockets.connect(
            f"ws://{url.netloc}/ws/laptop",
            additional_headers={"Authorization": f"Bearer {alice.token}"},
            subprotocols=[websockets.Subprotocol("sharezync.v1")],
            ping_interval=None,
        ) as connection:
            await connection.recv()
            await asyncio.sleep(IDLE_SECONDS / TIMES_FASTER)
            await connection.send('{"type": "ping", "id": 1}')
            async with asyncio.timeout(10):
                assert await connection.recv()


def large_files(folder: Path) -> list[Path]:
    """Return the files of over 1 MiB below a folder."""
    return [path for path in folder.rglob("*") if path.is_file() and path.stat().st_size > MIB]


def hurried(text: str) -> str:
    """Return a configuration whose times of over a minute are a hundred times shorter."""

    def shorter(found: re.Match[str]) -> str:
        seconds = int(found[1]) * {"s": 1, "m": 60, "h": 3600}[found[2]]
        return f"{seconds * 1000 // TIMES_FASTER}ms" if seconds > 60 else found[0]

    return re.sub(r"\b(\d+)([smh])\b", shorter, text)


def proxy_to(name: str, folder: Path, port: int) -> Proxy:
    return Proxy(name, found(CONFIGURATIONS[name][0]), folder, port)
