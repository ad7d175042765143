"""A restore under everybody's feet: clients that saw more than was restored end where it is.

People write and read, a backup is made meanwhile, they go on, and then the data are lost. They come
back to what was restored, with cursors of before: at once, or when as much has been said again as
they had seen.
"""

import asyncio
import hashlib
import sys
from pathlib import Path

import pytest

from clients.python.tests.support.people import PASSWORD, Login, channel_of, registered
from sharezync import Client, NotLoggedIn, Session
from sharezync.problems import Problem
from sharezync_testkit.one_process import OneProcess
from sharezync_testkit.waiting import DEADLINE_SECONDS, wait_until
from tests.conftest import GENEROUS
from tests.fleet.history import Writer, faults
from tests.followers import Device, history_of, write

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

SAID = 60
"""Messages before the backup, behind it, and after the restore: at least so many."""


async def command(*arguments: str | Path) -> tuple[int | None, str]:
    """Run `sharezync-server` with these arguments; return its exit status and what it said."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "sharezync_embedded", *map(str, arguments)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    return process.returncode, said.decode()


async def again(login: Login) -> Session:
    """Log in once more, as everybody has to."""
    return await login.client.login(login.username, PASSWORD)


async def content(session: Session, file_id: str, folder: Path) -> bytes:
    path = folder / f"{file_id}.downloaded"
    await session.downloads.download(file_id, path)
    return await asyncio.to_thread(path.read_bytes)


async def test_clients_end_in_the_state_that_was_restored(tmp_path: Path) -> None:
    lost, backup, restored = tmp_path / "lost", tmp_path / "backup", tmp_path / "restored"
    product = OneProcess(lost, environment=GENEROUS)
    await asyncio.to_thread(product.start)
    clients: list[Client] = []
    try:
        people = [await registered(product.url, name) for name in ("alice", "bob", "carol", "dave")]
        clients += [each.client for each in people]
        alice, bob, carol, dave = people
        channel_id = await channel_of(*people)
        pictures = {}
        for name in ("kept", "deleted later"):
            path = tmp_path / name
            path.write_bytes(hashlib.sha256(name.encode()).digest() * 50_000)
            pictures[name] = await alice.session.uploads.upload(path)

        # --- everybody writes or reads; a backup is made meanwhile ------------------------------
        devices = [Device("carol-phone", channel_id), Device("dave-phone", channel_id)]
        writers = [Writer("alice"), Writer("bob")]
        over = asyncio.Event()

        def acknowledged() -> int:
            return sum(len(writer.acknowledged) for writer in writers)

        async with (
            devices[0].following(carol.session),
            devices[1].following(dave.session),
            asyncio.TaskGroup() as writing,
        ):
            for person, writer in zip((alice, bob), writers, strict=True):
                writing.create_task(write(person.session, channel_id, writer, over.is_set))
            await wait_until(lambda: acknowledged() >= SAID, within_seconds=DEADLINE_SECONDS)
            before = {writer.name: dict(writer.acknowledged) for writer in writers}
            status, said = await command("backup", backup, "--data-dir", lost)
            assert status == 0, said
            behind = acknowledged()
            await alice.session.http.request("DELETE", f"/v1/files/{pictures['deleted later'].id}")
            await wait_until(
                lambda: acknowledged() >= behind + SAID, within_seconds=DEADLINE_SECONDS
            )
            over.set()
            head = max(seq for writer in writers for seq in writer.acknowledged.values())
            await wait_until(lambda: all(device.seq >= head for device in devices))

        # --- all is lost, but for the backup ----------------------------------------------------
        assert await asyncio.to_thread(product.stop) == 0
        status, said = await command("restore", backup, "--data-dir", restored)
        assert status == 0, said
        port = int(product.url.rpartition(":")[2])
        product = OneProcess(restored, port=port, environment=GENEROUS)
        await asyncio.to_thread(product.start)
        with pytest.raises((NotLoggedIn, Problem)):
            await carol.session.chat.memberships()
        sessions = [await again(person) for person in people]

        # --- one comes back at once, the other when as much has been said as they had seen -------
        newest = Writer("alice-again")

        def said_again() -> int:
            return max(newest.acknowledged.values(), default=0)

        async with devices[0].following(sessions[2]):
            await write(sessions[0], channel_id, newest, lambda: said_again() > head + SAID)
            async with devices[1].following(sessions[3]):
                await wait_until(
                    lambda: all(
                        device.reader is not None
                        and device.reader.refetched
                        and device.seq >= said_again()
                        for device in devices
                    )
                )
        history = await history_of(sessions[1], channel_id)
        keys = {message["client_message_id"] for message in history}
        gone = {key for writer in writers for key in writer.acknowledged} - keys
        assert len(gone) >= SAID, "nothing was lost: then nothing was tried"
        for writer in writers:
            writer.acknowledged = before[writer.name]
        readers = [device.reader for device in devices if device.reader is not None]
        assert faults([*writers, newest], readers, history, said_again()) == []
        for name, picture in pictures.items():
            found = await content(sessions[0], picture.id, tmp_path)
            assert found == await asyncio.to_thread((tmp_path / name).read_bytes)
    finally:
        await asyncio.to_thread(product.stop)
        for client in clients:
            await client.aclose()
