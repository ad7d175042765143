"""Files from device to device without a socket."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from clients.python.tests.support.people import Login
from clients.python.tests.support.proxies import no_sockets, one_bad_byte
from sharezync import Client, MemoryTokens, Progress, Session, Transfer, TransferEnded
from sharezync_testkit.chaos import ChaosProxy
from sharezync_testkit.command_line import Cli, Json, arrived

LogIn = Callable[..., Awaitable[Login]]
Commands = Callable[[Login, str], Cli]
MIB = 1024 * 1024
pytestmark = pytest.mark.timeout(180)


def at(url: str, login: Login) -> Client:
    """The same login, by another way to the server."""
    return Client(url, tokens=MemoryTokens(login.session.renewal.tokens))


async def waiting(session: Session) -> Transfer:
    """The offer that somebody has, once it is there."""
    async with asyncio.timeout(30):
        while not (found := await session.transfers.all(role="recipient", state="offered")):  # noqa: ASYNC110 - it asks
            await asyncio.sleep(0.02)
    return found[0]


@pytest.fixture
def film(tmp_path: Path) -> Path:
    film = tmp_path / "film.mkv"
    film.write_bytes(os.urandom(12 * MIB + 3))
    return film


async def test_files_of_all_sizes_arrive_while_they_are_still_sent(
    log_in: LogIn, tmp_path: Path, line: ChaosProxy
) -> None:
    ada, bob = await log_in("ada"), await log_in("bob")
    folder = tmp_path / "holiday"
    (folder / "deep").mkdir(parents=True)
    sizes = {"empty.txt": 0, "one byte": 1, "exact.bin": 2 * MIB, "deep/more.bin": 6 * MIB + 17}
    for name, size in sizes.items():
        (folder / name).write_bytes(os.urandom(size))
    stored: list[int] = []

    def note(progress: Progress) -> None:
        stored.append(progress.stored_bytes)

    line.latency(0.005)
    async with at(f"http://{line.host}:{line.port}", ada) as adas:
        sending = asyncio.create_task(
            adas.session().transfers.send(
                [folder], to=[bob.username], device="laptop", over="http", wait="all"
            )
        )
        transfer = await waiting(bob.session)
        files = await bob.session.transfers.receive(
            transfer, tmp_path / "in", device="phone", over="http", on_progress=note
        )
        sent = await sending

    assert {path.name: path.read_bytes() for path in files} == {
        path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }
    assert stored[0] < transfer.size_bytes, "it began before all was stored"
    assert sent.recipients[bob.id] == ("completed", transfer.size_bytes)
    assert sent.moved_bytes == transfer.size_bytes
    left = [path for path in (tmp_path / "in").rglob("*") if path.is_file() and path not in files]
    assert left == [], "no parts and no records stay behind"


async def test_lines_may_be_lost_again_and_again(
    log_in: LogIn, line: ChaosProxy, film: Path, tmp_path: Path
) -> None:
    ada, bob = await log_in("ada"), await log_in("bob")
    cuts: set[tuple[str, int]] = set()

    def cut(end: str, done_bytes: int, size_bytes: int) -> None:
        step = (end, done_bytes // (3 * MIB))
        if 0 < done_bytes < size_bytes and step[1] and step not in cuts:
            cuts.add(step)
            line.reset()

    url = f"http://{line.host}:{line.port}"
    async with at(url, ada) as adas, at(url, bob) as bobs:
        sending = asyncio.create_task(
            adas.session().transfers.send(
                [film], to=[bob.username], device="laptop", over="http", wait="all",
                on_progress=lambda p: cut("sender", p.stored_bytes, p.size_bytes),
            )
        )  # fmt: skip
        files = await bobs.session().transfers.receive(
            await waiting(bob.session), tmp_path / "in", device="phone", over="http",
            on_progress=lambda p: cut("recipient", p.received_bytes, p.size_bytes),
        )  # fmt: skip
        sent = await sending
    assert len(cuts) >= 4
    assert {end for end, _ in cuts} == {"sender", "recipient"}
    assert files[0].read_bytes() == film.read_bytes()
    assert sent.recipients[bob.id][0] == "completed"


async def test_where_no_socket_is_let_through_the_commands_work_all_the_same(
    log_in: LogIn, commands: Commands, base_url: str, film: Path
) -> None:
    ada, bob = await log_in("ada"), await log_in("bob")
    asked: list[str] = []
    async with no_sockets(base_url, asked=asked) as url:
        adas, bobs = await asyncio.gather(commands(ada, url).login(), commands(bob, url).login())
        receiving = await bobs.start(
            "receive", "--accept-from", ada.username, "--json", "--into", "in"
        )
        await receiving.record(lambda record: record["type"] == "waiting")
        sent = await adas.run("send", str(film), "--to", bob.username, "--wait", "all", "--json")
        done = await receiving.record(lambda record: record["type"] == "received")
        receiving.interrupt()
        stubborn = await adas.run(
            "send", str(film), "--to", bob.username, "--over", "socket", "--json"
        )
        await receiving.end()
    assert sent.process.returncode == 0, sent.errors
    assert sent.of_type("progress")[-1]["recipients"] == [
        {"user": bob.username, "state": "completed", "received_bytes": film.stat().st_size}
    ]
    assert [Path(path).read_bytes() for path in done["files"]] == [film.read_bytes()]
    assert len(asked) >= 2, "both tried a socket first"
    assert stubborn.process.returncode == 1
    assert "403" in stubborn.records[-1]["message"]


def moved(kind: str, at_least: int) -> Callable[[Json], bool]:
    return lambda record: record["type"] == "progress" and record[kind] >= at_least


async def test_who_was_killed_goes_on_by_whichever_way(
    log_in: LogIn, commands: Commands, line: ChaosProxy, film: Path
) -> None:
    ada, bob = await log_in("ada"), await log_in("bob")
    url = f"http://{line.host}:{line.port}"
    adas, bobs = await asyncio.gather(commands(ada, url).login(), commands(bob, url).login())
    size = film.stat().st_size
    send = ("send", str(film), "--to", bob.username, "--json", "--wait", "nobody", "--over", "http")
    receive = ("receive", "--all", "--json", "--into", "in", "--over")

    async def killed(cli: Cli, command: tuple[str, ...], moves: str, at_least: int) -> Json:
        line.latency(0.04)  # slow enough that half a second between reports is soon enough
        running = await cli.start(*command)
        seen = await running.record(moved(moves, at_least))
        running.kill()
        await running.end()
        line.heal()
        assert not running.of_type("sent") + running.of_type("received"), "it was through already"
        return seen

    before = await killed(adas, send, "stored_bytes", 4 * MIB)
    sent = await adas.run(*send)
    assert sent.process.returncode == 0, sent.errors
    assert sent.of_type("offered")[0]["transfer_id"] == before["transfer_id"]
    assert sent.of_type("sent")[0]["moved_bytes"] <= size - before["stored_bytes"]

    await killed(bobs, (*receive, "socket"), "received_bytes", 3 * MIB)
    await killed(bobs, (*receive, "http"), "received_bytes", 6 * MIB)
    assert "film.mkv" not in arrived(bobs.home / "in")
    got = await bobs.run(*receive, "http")
    assert got.process.returncode == 0, got.errors
    assert got.of_type("received")[0]["moved_bytes"] < size, "not all of it came again"
    assert arrived(bobs.home / "in") == {"film.mkv": film.read_bytes()}


async def test_only_the_chunk_that_arrived_damaged_is_fetched_again(
    log_in: LogIn, base_url: str, film: Path, tmp_path: Path
) -> None:
    ada, bob = await log_in("ada"), await log_in("bob")
    sent = await ada.session.transfers.send([film], to=[bob.username], device="laptop", over="http")
    damaged: list[str] = []
    async with one_bad_byte(base_url, damaged=damaged) as url, at(url, bob) as bobs:
        seen: list[Progress] = []
        files = await bobs.session().transfers.receive(
            sent.transfer.id, tmp_path / "in", device="phone", over="http",
            on_progress=seen.append,
        )  # fmt: skip
    assert len(damaged) == 1
    assert files[0].read_bytes() == film.read_bytes()
    assert seen[-1].moved_bytes == film.stat().st_size + sent.transfer.chunk_size_bytes


async def test_a_pause_is_waited_for_and_a_cancellation_ends_both(
    log_in: LogIn, line: ChaosProxy, film: Path, tmp_path: Path
) -> None:
    ada, bob = await log_in("ada"), await log_in("bob")
    line.latency(0.1)  # it must not be through before it is cancelled
    received = asyncio.Event()

    def note(progress: Progress) -> None:
        if progress.received_bytes >= MIB:
            received.set()

    async with at(f"http://{line.host}:{line.port}", ada) as adas:
        sending = asyncio.create_task(
            adas.session().transfers.send([film], to=[bob.username], device="x", over="http")
        )
        transfer = await waiting(bob.session)
        receiving = asyncio.create_task(
            bob.session.transfers.receive(
                transfer, tmp_path / "in", device="phone", over="http", on_progress=note
            )
        )
        async with asyncio.timeout(30):
            await received.wait()
        assert (await bob.session.transfers.act(transfer.id, "pause")).state == "paused"
        received.clear()
        assert (await bob.session.transfers.act(transfer.id, "resume")).state != "paused"
        async with asyncio.timeout(30):
            await received.wait()
        await ada.session.transfers.act(transfer.id, "cancel")
        ended = await asyncio.gather(sending, receiving, return_exceptions=True)
    assert [(type(each), str(each)) for each in ended] == [
        (TransferEnded, "the transfer is cancelled")
    ] * 2
    assert not list((tmp_path / "in").rglob("*")), "nothing of it stays"
