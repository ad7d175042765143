"""Files from device to device, by the library."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from clients.python.tests.support.people import Login
from sharezync import (
    Address,
    Client,
    FileChanged,
    MemoryTokens,
    Progress,
    Session,
    StreamEventFrame,
    Transfer,
    TransferEnded,
)
from sharezync_testkit.chaos import ChaosProxy

LogIn = Callable[..., Awaitable[Login]]
MIB = 1024 * 1024
pytestmark = pytest.mark.timeout(180)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Files of all sizes that matter, in folders."""
    folder = tmp_path / "holiday"
    (folder / "2026" / "août").mkdir(parents=True)
    (folder / "empty.txt").write_bytes(b"")
    (folder / "one byte").write_bytes(b"x")
    (folder / "2026" / "exact.bin").write_bytes(os.urandom(2 * MIB))
    (folder / "2026" / "août" / "more.bin").write_bytes(os.urandom(3 * MIB + 17))
    return folder


async def offered_to(session: Session, device: str) -> Transfer:
    """Wait for an offer."""
    async with asyncio.timeout(60), session.socket(device) as socket:
        for transfer in await session.transfers.all(role="recipient", state="offered"):
            return transfer
        async for incoming in socket:
            if isinstance(incoming, StreamEventFrame) and incoming.type == "incoming_transfer":
                return Transfer.of(incoming.data)
    raise AssertionError


async def moved(
    sending: Coroutine[Any, Any, Progress], receiver: Session, into: Path
) -> tuple[Progress, list[Path]]:
    """Send and receive at the same time."""
    task = asyncio.create_task(sending)
    transfer = await offered_to(receiver, "phone")
    files = await receiver.transfers.receive(transfer, into, device="phone")
    return await task, files


def contents(files: list[Path]) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in files}


async def test_files_of_all_sizes_arrive_as_they_are(
    log_in: LogIn, folder: Path, tmp_path: Path
) -> None:
    ada, bob = await log_in("ada"), await log_in("bob")
    into = tmp_path / "in"
    sending = ada.session.transfers.send([folder], to=[bob.username], device="laptop", wait="all")
    progress, files = await moved(sending, bob.session, into)

    sent = {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert contents(files) == sent
    assert progress.transfer.state == "completed"
    assert progress.recipients[bob.id] == ("completed", 5 * MIB + 18)
    (new,) = into.resolve().iterdir()
    assert new.name.startswith(f"{ada.username} 20"), "of who sends, and when"
    arrived = {path.relative_to(new).as_posix() for path in files}
    assert arrived == {
        f"holiday/{path.relative_to(folder).as_posix()}"
        for path in folder.rglob("*")
        if path.is_file()
    }
    left = [path for path in into.rglob("*") if path.is_file() and path not in files]
    assert left == [], "no parts and no records stay behind"


async def test_both_ends_may_lose_their_lines_again_and_again(
    log_in: LogIn, line: ChaosProxy, tmp_path: Path
) -> None:
    ada, bob = await log_in("ada"), await log_in("bob")
    film = tmp_path / "film.mkv"
    film.write_bytes(os.urandom(24 * MIB + 5))
    at = f"http://{line.host}:{line.port}"
    stored: set[int] = set()

    def cut(progress: Progress) -> None:
        step = progress.stored_bytes // (5 * MIB)
        if progress.stored_bytes < 24 * MIB and step and step not in stored:
            stored.add(step)
            line.reset()

    async with (
        Client(at, tokens=MemoryTokens(ada.session.renewal.tokens)) as adas,
        Client(at, tokens=MemoryTokens(bob.session.renewal.tokens)) as bobs,
    ):
        sending = adas.session().transfers.send(
            [film], to=[bob.username], device="laptop", wait="all", on_progress=cut
        )
        progress, files = await moved(sending, bobs.session(), tmp_path / "in")
    assert len(stored) >= 3, "it was cut in the midst of it"
    assert contents(files) == {"film.mkv": film.read_bytes()}
    assert progress.recipients[bob.id][0] == "completed"


async def test_what_nobody_wants_ends_the_sending(
    log_in: LogIn, line: ChaosProxy, tmp_path: Path
) -> None:
    ada, bob = await log_in("ada"), await log_in("bob")
    film = tmp_path / "film.mkv"
    film.write_bytes(os.urandom(64 * MIB))

    async def reject() -> Transfer:
        transfer = await offered_to(bob.session, "phone")
        return await bob.session.transfers.act(transfer.id, "reject")

    line.latency(0.01)  # there is time to say no
    at = f"http://{line.host}:{line.port}"
    async with Client(at, tokens=MemoryTokens(ada.session.renewal.tokens)) as adas:
        rejecting = asyncio.create_task(reject())
        with pytest.raises(TransferEnded) as ended:
            await adas.session().transfers.send([film], to=[bob.username], device="laptop")
        rejected = await rejecting
    assert ended.value.state == "rejected"
    with pytest.raises(TransferEnded):
        await bob.session.transfers.receive(rejected.id, tmp_path / "in", device="phone")
    assert not list((tmp_path / "in").rglob("*")), "nothing of it stays"


async def test_a_file_that_changes_while_it_is_sent_is_not_sent_as_something_it_never_was(
    log_in: LogIn, tmp_path: Path
) -> None:
    ada, bob = await log_in("ada"), await log_in("bob")
    notes = tmp_path / "notes.bin"
    notes.write_bytes(os.urandom(20 * MIB))

    def change(progress: Progress) -> None:
        if progress.stored_bytes:
            notes.write_bytes(b"something else")

    with pytest.raises(FileChanged):
        await ada.session.transfers.send(
            [notes], to=[bob.username], device="laptop", on_progress=change
        )


async def test_one_sends_to_another_device_of_ones_own(log_in: LogIn, tmp_path: Path) -> None:
    ada = await log_in("ada")
    notes = tmp_path / "notes.txt"
    notes.write_bytes(os.urandom(MIB + 1))
    async with ada.session.socket("phone", events=False) as phone:
        me = await ada.session.people.me()
        device = await ada.session.people.find_device(me, "phone")
        sending = asyncio.create_task(
            ada.session.transfers.send(
                [notes], to=[Address(ada.id, device.id)], device="laptop", wait="all"
            )
        )
        async with asyncio.timeout(60):
            while not (found := await ada.session.transfers.all(role="sender")):  # noqa: ASYNC110 - it asks
                await asyncio.sleep(0.05)
        files = await ada.session.transfers.receive(found[0], tmp_path / "in", device=phone)
        await sending
    assert contents(files) == {"notes.txt": notes.read_bytes()}
