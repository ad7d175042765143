"""The `sharezync` command as a process of its own."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sharezync
from sharezync_testkit.waiting import DEADLINE_SECONDS

Json = dict[str, Any]
SOURCES = Path(sharezync.__file__).parents[1]


@dataclass
class Running:
    """A command that runs, with what it has printed so far, line by line."""

    process: asyncio.subprocess.Process
    lines: list[str] = field(default_factory=list)
    errors: bytes = b""
    _arrived: asyncio.Event = field(default_factory=asyncio.Event)
    _reading: list["asyncio.Task[None]"] = field(default_factory=list)

    def begin(self) -> None:
        self._reading = [
            asyncio.create_task(self._read_lines()),
            asyncio.create_task(self._read_errors()),
        ]

    async def _read_lines(self) -> None:
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            self.lines.append(line.decode().rstrip("\n"))
            self._arrived.set()
        self._arrived.set()

    async def _read_errors(self) -> None:
        assert self.process.stderr is not None
        self.errors = await self.process.stderr.read()

    @property
    def text(self) -> str:
        """What it has printed, for people."""
        return "\n".join(self.lines)

    @property
    def records(self) -> list[Json]:
        """Its lines as JSON: every one must be an object."""
        return [dict(json.loads(line)) for line in self.lines]

    def of_type(self, kind: str) -> list[Json]:
        return [record for record in self.records if record["type"] == kind]

    async def record(self, matches: Callable[[Json], bool]) -> Json:
        """Wait for a record that matches."""
        try:
            async with asyncio.timeout(DEADLINE_SECONDS):
                while True:
                    self._arrived.clear()
                    for record in self.records:
                        if matches(record):
                            return record
                    assert not self._reading[0].done(), (self.lines[-5:], self.errors)
                    await self._arrived.wait()
        except TimeoutError:
            raise AssertionError(f"it did not come; had {self.lines[-5:]}") from None

    async def write(self, text: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(text.encode())
        await self.process.stdin.drain()

    def kill(self) -> None:
        self.process.kill()

    def interrupt(self) -> None:
        self.process.send_signal(signal.SIGINT)

    async def end(self) -> int:
        """Wait until it has ended; return its exit status."""
        try:
            async with asyncio.timeout(DEADLINE_SECONDS):
                await asyncio.gather(*self._reading)
                return await self.process.wait()
        except TimeoutError:
            self.process.kill()
            raise AssertionError(f"it did not end; had {self.lines[-5:]}") from None


def arrived(into: Path) -> dict[str, bytes]:
    """Return what is in the one new folder that a transfer made in `into`, hidden things too."""
    (folder,) = into.iterdir()
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@dataclass
class Cli:
    """Somebody's command line: with a home, and so with logins and records, of its own."""

    home: Path
    url: str
    username: str
    password: str

    @property
    def environment(self) -> dict[str, str]:
        """What the command is run with."""
        return {
            **os.environ,
            "HOME": str(self.home),
            "XDG_CONFIG_HOME": str(self.home / "config"),
            "XDG_STATE_HOME": str(self.home / "state"),
            "SHAREZYNC_URL": self.url,
            "PYTHONPATH": str(SOURCES),
        }

    async def start(self, *arguments: str, stdin: str | None = None) -> Running:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "sharezync", *arguments,
            cwd=self.home,
            env=self.environment,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            limit=2**20,
        )  # fmt: skip
        running = Running(process)
        running.begin()
        if stdin is not None:
            await running.write(stdin)
            assert process.stdin is not None
            process.stdin.close()
        return running

    async def run(self, *arguments: str, stdin: str | None = None) -> Running:
        """Run a command to its end, however that is."""
        running = await self.start(*arguments, stdin=stdin)
        await running.end()
        return running

    async def login(self) -> "Cli":
        done = await self.run("login", self.username, "--password-stdin", stdin=self.password)
        assert done.process.returncode == 0, done.errors
        return self
