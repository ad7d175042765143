"""Somebody innocent: reads their profile and posts, twenty-five times a second, until told to stop.

Once a second they store a small file, and read one.

    python -m load.innocent     (URL, token and channel as JSON on the first line of standard input)

For each further line on standard input one line of JSON comes out: how long they waited since the
line before. A process of its own, so that what is measured is not the harness's or the attacker's
loop; how late that process itself was is told beside it. What was asked in a phase counts in that
phase, however late the answer comes; one that doesn't come in 30 s is refused.
"""

import asyncio
import json
import sys
import time
from pathlib import Path
from statistics import quantiles
from typing import Any, Final, Self

import httpx

_EVERY_SECONDS: Final = 0.04
_PATIENCE_SECONDS: Final = 30.0


class Innocent:
    """Asks now and then, whether earlier answers are there or not."""

    def __init__(self, http: httpx.AsyncClient, channel_id: str) -> None:
        self._http = http
        self._channel = f"/v1/channels/{channel_id}/messages"
        self._content = ""
        self._asked: list[asyncio.Task[tuple[float, bool]]] = []
        self._late_ms: list[float] = []

    async def live(self) -> None:
        """Go on until cancelled."""
        for number in range(sys.maxsize):
            self._asked.append(asyncio.create_task(self._ask(number)))
            # Nothing is caught up with: a machine that stood still must not be flooded for it.
            due = time.perf_counter() + _EVERY_SECONDS
            await asyncio.sleep(_EVERY_SECONDS)
            self._late_ms.append((time.perf_counter() - due) * 1000)

    async def _ask(self, number: int) -> tuple[float, bool]:
        began = time.perf_counter()
        try:
            if number % 25 == 0:
                files = {"file": ("a", b"a few words")}
                answer = await self._http.post("/v1/files", files=files)
                self._content = self._content or answer.headers.get("location", "") + "/content"
            elif number % 25 == 13 and self._content:
                answer = await self._http.get(self._content)
            elif number % 2:
                answer = await self._http.get("/v1/users/me")
            else:
                answer = await self._http.post(self._channel, json={"text": "a few words"})
            refused = answer.is_error
        except httpx.HTTPError:
            refused = True
        return (time.perf_counter() - began) * 1000, refused

    async def take(self) -> dict[str, float]:
        """Return the waits for what was asked since the last time, once all of it is answered."""
        asked, self._asked = self._asked, []
        late_ms, self._late_ms = self._late_ms, []
        answers = await asyncio.gather(*asked)
        waits = [wait for wait, _ in answers]
        return {
            "asked": len(answers),
            "refused": sum(refused for _, refused in answers),
            "p50_ms": _percentile(waits, 50),
            "p99_ms": _percentile(waits, 99),
            "late_p99_ms": _percentile(late_ms, 99),
        }


class InnocentProcess:
    """An `Innocent` in a process of its own, at the usual priority."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def start(cls, url: str, token: str, channel_id: str) -> Self:
        """Start it; it asks from now on."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "load.innocent",
            cwd=Path(__file__).parents[1],
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        one = cls(process)
        one._say(json.dumps({"url": url, "token": token, "channel_id": channel_id}))
        return one

    async def take(self) -> dict[str, float]:
        """Return the waits since the last time. Raises RuntimeError where the process has ended."""
        self._say("take")
        assert self._process.stdout
        line = await self._process.stdout.readline()
        if not line:
            raise RuntimeError("the innocent has ended")
        return dict(json.loads(line))

    async def stop(self) -> None:
        """End it."""
        assert self._process.stdin
        self._process.stdin.close()
        await self._process.wait()

    def _say(self, line: str) -> None:
        assert self._process.stdin
        self._process.stdin.write(f"{line}\n".encode())


def _percentile(values: list[float], part: int) -> float:
    if len(values) < 2:
        return sum(values)
    return quantiles(values, n=100, method="inclusive")[part - 1]


async def _main() -> None:
    commands = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(commands), sys.stdin
    )
    told: dict[str, Any] = json.loads(await commands.readline())
    headers = {"Authorization": f"Bearer {told['token']}"}
    async with httpx.AsyncClient(
        base_url=told["url"], headers=headers, timeout=_PATIENCE_SECONDS
    ) as http:
        innocent = Innocent(http, told["channel_id"])
        life = asyncio.create_task(innocent.live())
        while await commands.readline():
            print(json.dumps(await innocent.take()), flush=True)
        life.cancel()
        await innocent.take()


if __name__ == "__main__":
    asyncio.run(_main())
