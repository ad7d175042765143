"""Files from user to user that are larger than all the memory that the product may have.

Both ends are the lean programs of the benchmarks: in blocks of a chunk, and every digest checked.
`make memory` sends 4 GiB through a process that may have 512 MiB.
"""

import asyncio
import json
import os
import resource
import sys
from pathlib import Path
from typing import Final

import pytest

from sharezync_testkit.one_process import OneProcess
from tests.blackbox.people import Person
from tests.conftest import GENEROUS

MIB: Final = 2**20
_MIB_SENT: Final = int(os.environ.get("TRANSFER_MEMORY_MIB", "640"))
_LIMIT_BYTES: Final = 512 * MIB
"""Of memory that can be written and is the process's own, stacks of threads included. It has some
of that when it idles; what goes past it is a MemoryError there."""
_ROOT: Final = Path(__file__).parents[1]
_ENDS: Final = _ROOT / "bench" / "load" / "transfer_ends.py"
_SECONDS_FOR_EACH_MIB: Final = 0.5


def large_file(path: Path, size: int) -> Path:
    """Make a file in which no two chunks are alike, and which takes little room."""
    with path.open("wb") as file:
        file.truncate(size)
        for begin in range(0, size, MIB):
            file.seek(begin)
            file.write(begin.to_bytes(8, "big") + os.urandom(8))
    return path


async def end(person: Person, *arguments: str) -> dict[str, float]:
    """Be one end, and return how it went."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-P", str(_ENDS), *arguments,
        stdout=asyncio.subprocess.PIPE, env={**os.environ, "TOKEN": person.tokens["access_token"]},
    )  # fmt: skip
    try:
        output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    assert process.returncode == 0
    told: dict[str, float] = json.loads(output.splitlines()[-1])
    return told


@pytest.mark.slow
@pytest.mark.timeout(60 + _MIB_SENT * 2 * _SECONDS_FOR_EACH_MIB)
async def test_a_transfer_is_larger_than_the_memory_it_goes_through(tmp_path: Path) -> None:
    size = _MIB_SENT * MIB
    source = large_file(tmp_path / "source", size)
    received = tmp_path / "received" if size <= 1024 * MIB else Path(os.devnull)
    product = OneProcess(tmp_path / "data", environment={**GENEROUS, "QUOTA_BYTES": str(2 * size)})
    product.start()
    try:
        resource.prlimit(product.pid, resource.RLIMIT_DATA, (_LIMIT_BYTES, _LIMIT_BYTES))
        alice = await Person.register(product.url, "alice")
        bob = await Person.register(product.url, "bob")
        await alice.aclose()
        await bob.aclose()
        async with asyncio.timeout(30 + _MIB_SENT * _SECONDS_FOR_EACH_MIB):
            await asyncio.gather(
                end(bob, "receive", product.url, "phone", str(received)),
                end(alice, "send", product.url, "laptop", str(source), bob.id),
            )
    finally:
        product.stop()
    if received.is_file():
        same = await asyncio.create_subprocess_exec("cmp", str(source), str(received))
        assert await same.wait() == 0
