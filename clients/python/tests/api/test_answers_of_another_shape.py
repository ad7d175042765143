"""Answers that are JSON, and not of the shape they should have: told in a sentence, by address."""

import asyncio
import copy
import gzip
import io
import itertools
import json
import sys
import time
import tracemalloc
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from websockets import Subprotocol
from websockets.asyncio.server import ServerConnection, serve

from clients.python.tests.support import hostile
from clients.python.tests.support.hostile import ID, hostile_server
from sharezync import Client, MemoryTokens, NotUnderstood, SocketClosed, Tokens
from sharezync.cli import run
from sharezync.cli.common import Config

COMMANDS = (
    ["login", "ada", "--password-stdin"],
    ["send", "notes.txt", "--to", ID, "--over", "http"],
    ["receive", ID, "--yes", "--over", "http"],
    ["transfers"],
    ["statistics"],
    ["blocks"],
    ["chat", ID, "--history", "5"],
    ["download", ID],
)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    for name in ("XDG_CONFIG_HOME", "XDG_STATE_HOME"):
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.setenv("SHAREZYNC_PATIENCE_SECONDS", "0")
    monkeypatch.setattr("sharezync.cli.keep_memory", lambda: None)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes.txt").write_text("mine")
    with hostile_server() as url:
        monkeypatch.setenv("SHAREZYNC_URL", url)
        Config().tokens(url).save(Tokens("a", "r", time.time() + 900, 900))
        yield tmp_path


def names_in(document: object) -> set[str]:
    if isinstance(document, dict):
        return {*document, *(name for each in document.values() for name in names_in(each))}
    if isinstance(document, list):
        return {name for each in document for name in names_in(each)}
    return set()


def with_another(document: Any, name: str, value: object) -> Any:
    """Return a document in which whatever is called so is something else."""
    if isinstance(document, list):
        return [with_another(each, name, value) for each in document]
    if not isinstance(document, dict):
        return document
    return {
        key: copy.deepcopy(value) if key == name else with_another(each, name, value)
        for key, each in document.items()
    }


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: words[0])
def test_no_shape_of_an_answer_is_taken_for_a_fault_of_the_program(
    words: list[str],
    home: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answer = hostile._answer
    names: set[str] = set()

    def end() -> tuple[int, str]:
        monkeypatch.setattr(sys, "stdin", io.StringIO("password\n"))
        status = run([*words, "--json"])
        captured = capsys.readouterr()
        return status, captured.err + captured.out

    def noted(method: str, path: str) -> dict[str, Any] | None:
        found = answer(method, path)
        names.update(names_in(found))
        return found

    monkeypatch.setattr(hostile, "_answer", noted)
    end()
    told = 0
    for name in sorted(names):
        monkeypatch.setattr(
            hostile, "_answer", lambda *asked, name=name: with_another(answer(*asked), name, [5])
        )
        status, text = end()
        assert status in {0, 1, 3}, name
        assert '"bug"' not in text, f"{name}: {text}"
        told += "isn't understood" in text and "http://127.0.0.1:" in text
    assert told, "it is said which answer that was"


def client(url: str) -> Client:
    return Client(url, tokens=MemoryTokens(Tokens("a", "r", time.time() + 900, 900)))


@pytest.mark.parametrize("status", [200, 422])
async def test_an_answer_without_end_is_not_kept(
    status: int,
) -> None:
    """Sixteen times what is taken is offered, compressed, and not unpacked any further."""
    packed = gzip.compress(b" " * (256 << 20), 1)
    head = f"HTTP/1.1 {status} x\r\nContent-Encoding: gzip\r\nContent-Length: {len(packed)}\r\n\r\n"

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        with suppress(OSError):
            writer.write(head.encode() + packed)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, client(f"http://127.0.0.1:{port}") as opened:
        tracemalloc.start()
        try:
            with pytest.raises(NotUnderstood, match=f"{port}/v1/users/me is longer than 16 MiB"):
                await opened.session().people.me()
            most = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert most < 128 << 20


@asynccontextmanager
async def server_that_answers(headers: str, body: Callable[[], bytes]) -> AsyncGenerator[str]:
    """Run a server with one answer to everything; yield its address."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        content = body()
        head = f"HTTP/1.1 200 x\r\n{headers}Content-Length: {len(content)}\r\n\r\n"
        with suppress(OSError):
            writer.write(head.encode() + content)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def test_what_is_compressed_twice_is_not_unpacked() -> None:
    bomb = gzip.compress(gzip.compress(b" " * (64 << 20), 9), 9)
    async with (
        server_that_answers("Content-Encoding: gzip, gzip\r\n", lambda: bomb) as url,
        client(url) as opened,
    ):
        tracemalloc.start()
        try:
            with pytest.raises(NotUnderstood, match="/v1/users/me"):
                await opened.session().people.me()
            most = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert most < 16 << 20


async def test_a_list_without_end_is_not_read_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    items = f'[{{"user_id": "{ID}", "blocked_at": ""}}]'
    monkeypatch.setattr("sharezync.http._MOST_PAGES", 20)
    numbers = itertools.count()

    def page() -> bytes:
        return f'{{"items": {items}, "next": "{next(numbers)}"}}'.encode()

    async with server_that_answers("", page) as url, client(url) as opened:
        with pytest.raises(NotUnderstood, match=r"/v1/blocks .* has no end"):
            await opened.session().preferences.blocked()
    assert next(numbers) <= 20


READY = {"type": "ready", "user": ID, "heads": {"account:x": ["e", 0]}}


@asynccontextmanager
async def socket_that_says(*frames: object) -> AsyncGenerator[str]:
    """Run a server whose socket says these after `authenticate`; yield its address."""

    async def talk(connection: ServerConnection) -> None:
        await connection.recv()
        for frame in frames:
            await connection.send(frame if isinstance(frame, str | bytes) else json.dumps(frame))
        await connection.wait_closed()

    protocols = [Subprotocol("sharezync.v1")]
    async with serve(talk, "127.0.0.1", 0, subprotocols=protocols, max_size=None) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        yield f"http://127.0.0.1:{port}"


@pytest.mark.parametrize(
    "frames",
    [
        ["no JSON"],
        [b"\xff"],
        [[1]],
        [{"type": "ready"}],
        [{**READY, "heads": [1]}],
        [{**READY, "heads": {"account:x": 5}}],
        [READY, {"no": "type"}],
        [READY, {"type": []}],
        [READY, {"type": "reply", "id": []}],
        [READY, {"type": "bye", "after_ms": "soon"}],
        [READY, {"type": "reset", "stream": "account:x"}],
        [READY, {"type": "resumed", "streams": 5}],
        [READY, {"type": "x", "stream": "account:x", "epoch": "e", "seq": "1", "data": {}}],
        [READY, {"type": "typing", "data": []}],
    ],
)
async def test_a_socket_that_says_something_else_is_told_in_a_sentence(
    frames: list[object],
) -> None:
    async with socket_that_says(*frames) as url, client(url) as opened:
        with pytest.raises(NotUnderstood, match=r"127\.0\.0\.1") as raised:
            async with opened.session().socket("laptop", opening_seconds=0) as socket:
                async for _ in socket:
                    pass
    assert "Error" not in str(raised.value)


async def test_a_message_of_a_socket_that_is_too_long_is_not_read() -> None:
    async with socket_that_says(READY, "x" * (5 << 20)) as url, client(url) as opened:
        with pytest.raises(SocketClosed, match="too long") as raised:
            async with opened.session().socket("laptop", opening_seconds=0) as socket:
                async for _ in socket:
                    pass
    assert raised.value.code == 1009
