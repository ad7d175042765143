"""What one wants to be sent, and what came of it all, by the command line."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from clients.python.tests.support.people import Login
from sharezync import Problem
from sharezync_testkit.command_line import Cli, arrived

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
    assert await bob.session.preferences.blocked() == []
    await ada.session.transfers.send([note], to=[bob.username], device="x", wait="nobody")
    assert len(await bob.session.transfers.all()) == 1, "what was offered meanwhile stays unseen"


async def test_one_says_who_may_add_one(log_in: LogIn, commands: Commands, base_url: str) -> None:
    ada, bob = await log_in("ada"), await log_in("bob")
    bobs = await commands(bob, base_url).login()
    before = await bobs.run("who-may-add", "--json")
    told = await bobs.run("who-may-add", "nobody")
    assert before.records == [{"type": "who_may_add", "who": "everybody"}]
    assert told.lines == ["Nobody may add you to channels and open conversations with you."]
    assert await bob.session.preferences.who_may_add() == "nobody"
    with pytest.raises(Problem, match="accept"):
        await ada.session.chat.conversation([bob.id])


async def test_who_is_banned_stays_out_until_the_ban_is_lifted(
    log_in: LogIn, commands: Commands, base_url: str
) -> None:
    ada, bob = await log_in("ada"), await log_in("bob")
    adas = await commands(ada, base_url).login()
    channel = await ada.session.chat.create("engines", private=False)
    await ada.session.chat.add(channel.id, bob.id)
    banned = await adas.run("ban", channel.id, bob.username, "--json")
    assert banned.process.returncode == 0, banned.errors
    assert await bob.session.chat.memberships() == []
    listed, of_nobody = await asyncio.gather(
        adas.run("bans", "engines"), adas.run("ban", f"@{bob.username}", bob.username)
    )
    assert [line.split("  ", 1)[1] for line in listed.lines] == [
        f"{bob.username}  (by {ada.username})"
    ]
    assert of_nobody.process.returncode == 2
    join = f"/v1/channels/{channel.id}/join"
    with pytest.raises(Problem):
        await bob.session.http.request("POST", join)
    lifted = await adas.run("unban", "engines", bob.username)
    assert lifted.lines == [f"You let {bob.username} come into engines again."]
    await bob.session.http.request("POST", join)


async def test_a_conversation_is_hidden_until_the_next_message(
    log_in: LogIn, commands: Commands, base_url: str
) -> None:
    ada, bob = await log_in("ada"), await log_in("bob")
    adas = await commands(ada, base_url).login()
    none = await adas.run("hide", bob.username)
    assert none.lines == [f"You see no direct conversation with {bob.username}."]
    assert await ada.session.chat.memberships() == [], "looking for one opens none"
    channel = await bob.session.chat.conversation([ada.id])
    await bob.session.chat.send(channel.id, "hello")
    hidden = await adas.run("hide", f"@{bob.username}", "--json")
    assert [each["channel_id"] for each in hidden.records] == [channel.id]
    assert (await adas.run("channels")).lines == []
    assert await ada.session.chat.memberships() == []
    await bob.session.chat.send(channel.id, "again")
    assert [each.channel.id for each in await ada.session.chat.memberships()] == [channel.id]


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
