"""The README's five minutes work when they are pasted, by two people at two terminals."""

import asyncio
import fcntl
import os
import pty
import re
import secrets
import shutil
import signal
import struct
import sys
import termios
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from clients.python.tests.support.people import PASSWORD
from sharezync_testkit.command_line import SOURCES, arrived
from sharezync_testkit.waiting import DEADLINE_SECONDS

README = Path(__file__).parents[2] / "README.md"
BLOCK = re.compile(r"^```sh (ada|bob)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LEAVES_A_GAP = "\nuntil [ -e go-on ]; do sleep 0.1; done\n"
pytestmark = pytest.mark.timeout(240)


@dataclass
class Terminal:
    """Somebody at a shell: types what is asked for once it is asked for."""

    bash: asyncio.subprocess.Process
    home: Path
    keyboard: int
    """Our end of the terminal: what is written there is typed."""
    said: str = ""
    _read: int = 0
    _arrived: asyncio.Event = field(default_factory=asyncio.Event)

    def hear(self) -> None:
        """Take what was printed; called when there is something, or the last process has left."""
        try:
            piece = os.read(self.keyboard, 65536)
        except OSError:  # as Linux says it
            piece = b""
        if not piece:
            asyncio.get_running_loop().remove_reader(self.keyboard)
        self.said += piece.decode(errors="replace")
        self._arrived.set()

    async def until(self, text: str) -> None:
        """Wait until it has said this, after what was waited for before."""
        try:
            async with asyncio.timeout(DEADLINE_SECONDS):
                while (found := self.said.find(text, self._read)) < 0:
                    assert self.bash.returncode is None, self.said
                    self._arrived.clear()
                    await self._arrived.wait()
        except TimeoutError:
            raise AssertionError(f"{text!r} was not said:\n{self.said}") from None
        self._read = found + len(text)

    def type(self, *lines: str) -> None:
        os.write(self.keyboard, "".join(f"{line}\n" for line in lines).encode())

    async def register(self) -> None:
        for prompt in ("Password", "Repeat"):
            await self.until(prompt)
            self.type(PASSWORD)

    async def leave(self) -> None:
        """Press Ctrl-D, and wait until the shell has ended."""
        os.write(self.keyboard, b"\x04")
        async with asyncio.timeout(DEADLINE_SECONDS):
            assert await self.bash.wait() == 0, self.said


@asynccontextmanager
async def terminal(home: Path, blocks: list[str]) -> AsyncGenerator[Terminal]:
    (home / "bin").mkdir(parents=True)
    command = home / "bin" / "sharezync"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m sharezync "$@"\n')
    command.chmod(0o700)
    keyboard, end = pty.openpty()
    fcntl.ioctl(end, termios.TIOCSWINSZ, struct.pack("4H", 50, 200, 0, 0))
    bash = await asyncio.create_subprocess_exec(
        str(shutil.which("bash")), "-c", "set -eu\n" + LEAVES_A_GAP.join(blocks),
        cwd=home,
        env={
            **{name: value for name, value in os.environ.items() if not name.startswith("XDG_")},
            "HOME": str(home),
            "PATH": f"{home / 'bin'}:{os.environ['PATH']}",
            "PYTHONPATH": str(SOURCES),
        },
        stdin=end,
        stdout=end,
        stderr=end,
        start_new_session=True,
    )  # fmt: skip
    os.close(end)
    opened = Terminal(bash, home, keyboard)
    loop = asyncio.get_running_loop()
    loop.add_reader(keyboard, opened.hear)
    try:
        yield opened
    finally:
        if bash.returncode is None:
            os.killpg(bash.pid, signal.SIGKILL)
            await bash.wait()
        loop.remove_reader(keyboard)
        os.close(keyboard)


async def test_the_five_minutes_work_when_pasted(base_url: str, tmp_path: Path) -> None:
    mark = secrets.token_hex(4)
    blocks: dict[str, list[str]] = {"ada": [], "bob": []}
    for who, block in BLOCK.findall(README.read_text()):
        named = re.sub(r"\b(ada|bob)\b", rf"\1_{mark}", block)
        blocks[who].append(named.replace("http://127.0.0.1:8000", base_url))
    assert {who: len(each) for who, each in blocks.items()} == {"ada": 3, "bob": 2}
    blocks["bob"][0] = f"export SHAREZYNC_URL={base_url}\n" + blocks["bob"][0]
    ada_home, bob_home = tmp_path / "ada", tmp_path / "bob"
    (ada_home / "photos").mkdir(parents=True)
    sent = {"film.mkv": os.urandom(3_000_000), "photos/one.jpg": os.urandom(1000)}
    for name, content in sent.items():
        (ada_home / name).write_bytes(content)

    async with terminal(ada_home, blocks["ada"]) as ada, terminal(bob_home, blocks["bob"]) as bob:
        await asyncio.gather(ada.register(), bob.register())
        await bob.until("Waiting for an offer")
        (ada_home / "go-on").touch()  # and from here on without a gap
        await bob.until("as promised")
        await bob.until("Take it?")
        bob.type("y")
        await bob.until("Received")
        await ada.until(f"bob_{mark} has it.")
        ada.type("Did it come?")
        await ada.leave()
        (bob_home / "go-on").touch()
        await bob.until(f"ada_{mark}: Did it come?")
        await bob.leave()

    assert arrived(bob_home / "downloads") == sent
