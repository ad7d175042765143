"""What one wants to be sent, and what came of it all, by the command line."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from clients.python.tests.support.people import Login
from clients.python.tests.support.running import Cli, arrived

LogIn = Callable[..., Awaitable[Login]]
Commands = Callable[[Login, str], Cli]
pytestmark = pytest.mark.timeout(180)


async def test_a_device_takes_what_it_was_told_to(
    log_in: LogIn, commands: Commands, base_url: str, tmp_path: Path
) -> None:
    ada, bob = await log_in("ada"), await log_in("bob")
    bobs = await commands(bob, base_url).login()
    before = (await bobs.run("policy", "--json")).records
    told, deviceless = await asyncio.gather(
        bobs.run("policy", "here", "known"), bobs.run("policy", "known")
    )
    device = before[0]["client_id"]
    assert [each["policy"] for each in before] == ["ask"]
    assert told.lines == [f"known  {device}  (this device): takes what people you know send"]
    assert deviceless.process.returncode == 2
    assert b"policy here known" in deviceless.errors

    note = tmp_path / "note.txt"
    note.write_text("They know each other by now.")
    channel = await ada.session.chat.create("engines")
    await ada.session.chat.add(channel.id, bob.id)
    await bob.session.chat.send(channel.id, "I know you")
    sent = await ada.session.transfers.send(
        [note], to=[bob.username], device="laptop", wait="nobody"
    )
    assert sent.recipients[bob.id][0] == "accepted", "nobody was asked"
    got = await bobs.run("receive", "--json", "--into", "in")
    assert got.process.returncode == 0, got.errors
    assert arrived(bobs.home / "in") == {"note.txt": note.read_bytes()}


async def test_who_is_blocked_is_not_heard_until_they_are_unblocked(
    log_in: LogIn, commands: Commands, base_url: str, tmp_path: Path
) -> None:
    ada, bob = await log_in("ada"), await log_in("bob")
    bobs = await commands(bob, base_url).login()
    note = tmp_path / "note.txt"
    note.write_text("Do you hear me?")

    blocked = await bobs.run("block", ada.username, "--json")
    await ada.session.transfers.send([note], to=[bob.username], device="x", wait="nobody")
    assert (blocked.process.returncode, blocked.records[0]["user_id"]) == (0, ada.id)
    assert await bob.session.transfers.all() == []

    listed, oneself = await asyncio.gather(
        bobs.run("blocks"), bobs.run("block", bob.username, "--json")
    )
    free = await bobs.run("unblock", ada.username, "--json")
    assert [line.split()[-1] for line in listed.lines] == [ada.username]
    assert (oneself.process.returncode, oneself.records[0]["code"]) == (1, "invalid")
    assert (free.process.returncode, free.records[0]["type"]) == (0, "unblocked")
    assert await bob.session.choices.blocked() == []
    await ada.session.transfers.send([note], to=[bob.username], device="x", wait="nobody")
    assert len(await bob.session.transfers.all()) == 1, "what was offered meanwhile stays unseen"


async def test_statistics_say_what_came_of_it_all(
    log_in: LogIn, commands: Commands, base_url: str, tmp_path: Path
) -> None:
    ada, bob = await log_in("ada"), await log_in("bob")
    adas = await commands(ada, base_url).login()
    note = tmp_path / "note.txt"
    note.write_bytes(b"x" * 1000)
    sent = await ada.session.transfers.send([note], to=[bob.username], device="x", wait="nobody")
    await bob.session.transfers.receive(sent.transfer, tmp_path / "in", device="y")

    told, shown = await asyncio.gather(
        adas.run("statistics", "--json", "--days", "7"), adas.run("statistics")
    )
    assert told.process.returncode == 0, told.errors
    assert [each["of"] for each in told.records] == ["all_time", "day", "person"]
    assert told.records[2]["user"] == bob.username
    for each in told.records:
        sums = each["sent"]
        assert (sums["completed"], sums["files"], sums["size_bytes"]) == (1, 1, 1000)
        assert (sums["success_rate"], each["received"]["ended"]) == (1.0, 0)
    assert "1 of 1 completed" in shown.lines[0]
    assert shown.lines[0].split()[:3] == ["in", "all", "sent"]
