"""The examples do with others' names what they say."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from clients.python.tests.support.people import Login

LogIn = Callable[..., Awaitable[Login]]
EXAMPLES = Path(__file__).parents[4] / "examples"
pytestmark = pytest.mark.timeout(120)


async def test_the_example_that_receives_plants_and_replaces_nothing(
    log_in: LogIn, base_url: str, tmp_path: Path
) -> None:
    ada, bob = await log_in("ada"), await log_in("bob")
    (tmp_path / ".bashrc").write_text("mine")
    sent = tmp_path / "sent" / ".bashrc"
    sent.parent.mkdir()
    sent.write_text("theirs")
    token = bob.session.renewal.tokens.access_token
    receiving = await asyncio.create_subprocess_exec(
        sys.executable, str(EXAMPLES / "receive_file.py"), "--url", base_url, "--token", token,
        "--into", str(tmp_path), stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        assert receiving.stdout is not None
        async with asyncio.timeout(30):
            assert await receiving.stdout.readline() == b"waiting for an offer\n"
            await ada.session.transfers.send([sent], to=[bob.username], device="laptop", wait="all")
            assert await receiving.wait() == 0
    finally:
        if receiving.returncode is None:
            receiving.kill()
            await receiving.wait()
    assert (tmp_path / ".bashrc").read_text() == "mine"
    (came,) = tmp_path.glob("*-*-*-*-*/*")
    assert (came.name, came.read_text()) == ("bashrc", "theirs")
