"""The command line, as processes that are killed and run again."""

import asyncio
import os
import pty
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from clients.python.tests.support.people import Login, channel_of
from sharezync_testkit.chaos import ChaosProxy
from sharezync_testkit.command_line import Cli, Json, Running, arrived
from sharezync_testkit.waiting import GIVE_UP_SECONDS, wait_until

LogIn = Callable[..., Awaitable[Login]]
Commands = Callable[[Login, str], Cli]
MIB = 1024 * 1024
pytestmark = pytest.mark.timeout(240)


def stored(at_least: int) -> Callable[[Json], bool]:
    return lambda record: record["type"] == "progress" and record["stored_bytes"] >= at_least


def received(at_least: int) -> Callable[[Json], bool]:
    return lambda record: record["type"] == "progress" and record["received_bytes"] >= at_least


@pytest.fixture
def film(tmp_path: Path) -> Path:
    film = tmp_path / "film.mkv"
    film.write_bytes(os.urandom(24 * MIB + 3))
    return film


async def test_two_people_send_and_receive(
    log_in: LogIn, commands: Commands, base_url: str, film: Path
) -> None:
    ada, bob = await log_in("ada"), await log_in("bob")
    adas, bobs = await asyncio.gather(
        commands(ada, base_url).login(), commands(bob, base_url).login()
    )
    receiving = await bobs.start("receive", "--accept-from", ada.username, "--json", "--into", "in")
    await receiving.record(lambda record: record["type"] == "waiting")
    sent = await adas.run(
        "send", str(film), "--to", bob.username, "--note", "enjoy", "--wait", "all", "--json"
    )
    done = await receiving.record(lambda record: record["type"] == "received")
    receiving.interrupt()

    assert sent.process.returncode == 0, sent.errors
    assert sent.records[0]["type"] == "offered"
    assert sent.of_type("sent")[0]["moved_bytes"] == film.stat().st_size
    assert sent.of_type("progress")[-1]["recipients"] == [
        {"user": bob.username, "state": "completed", "received_bytes": film.stat().st_size}
    ]
    assert [Path(path).read_bytes() for path in done["files"]] == [film.read_bytes()]
    assert await receiving.end() == 130
    listed = (await adas.run("transfers", "--json")).records
    assert [(each["direction"], each["state"], each["note"]) for each in listed] == [
        ("sent", "completed", "enjoy")
    ]


async def test_a_sender_that_was_killed_goes_on_when_it_is_run_again(
    log_in: LogIn, commands: Commands, base_url: str, line: ChaosProxy, film: Path
) -> None:
    ada, bob = await log_in("ada"), await log_in("bob")
    adas, bobs = await asyncio.gather(
        commands(ada, f"http://{line.host}:{line.port}").login(), commands(bob, base_url).login()
    )
    command = ("send", str(film), "--to", bob.username, "--json", "--wait", "nobody")
    line.latency(0.01)  # about 6 MiB a second: there is time to be killed
    first = await adas.start(*command)
    before = await first.record(stored(4 * MIB))
    first.kill()
    await first.end()
    line.heal()
    assert not first.of_type("sent"), "it was killed before it was through"

    second = await adas.run(*command)
    got = await bobs.run("receive", "--all", "--json", "--into", "in")

    assert second.process.returncode == 0, second.errors
    offered, sent = second.of_type("offered")[0], second.of_type("sent")[0]
    assert offered["resumed"]
    assert offered["transfer_id"] == before["transfer_id"]
    assert sent["moved_bytes"] <= film.stat().st_size - before["stored_bytes"]
    assert [Path(p).read_bytes() for p in got.of_type("received")[0]["files"]] == [
        film.read_bytes()
    ]
    third = await adas.run(*command)
    assert third.of_type("offered")[0]["transfer_id"] != before["transfer_id"], "through is through"


async def test_a_receiver_that_was_killed_goes_on_when_it_is_run_again(
    log_in: LogIn, commands: Commands, base_url: str, line: ChaosProxy, film: Path
) -> None:
    ada, bob = await log_in("ada"), await log_in("bob")
    adas, bobs = await asyncio.gather(
        commands(ada, base_url).login(), commands(bob, f"http://{line.host}:{line.port}").login()
    )
    sent = await adas.run("send", str(film), "--to", bob.username, "--wait", "nobody")
    assert sent.process.returncode == 0, sent.errors
    command = ("receive", "--from", ada.username, "--all", "--json", "--into", "in")
    line.latency(0.01)
    first = await bobs.start(*command)
    await first.record(received(8 * MIB))
    first.kill()
    await first.end()
    line.heal()
    assert "film.mkv" not in arrived(bobs.home / "in")

    second = await bobs.run(*command)

    assert second.process.returncode == 0, second.errors
    assert second.of_type("resumed")[0]["received_bytes"] > 0
    done = second.of_type("received")[0]
    assert done["moved_bytes"] < film.stat().st_size, "not all of it came again"
    assert arrived(bobs.home / "in") == {"film.mkv": film.read_bytes()}


async def test_a_folder_with_awkward_names_arrives_inside_the_chosen_folder(
    log_in: LogIn, commands: Commands, base_url: str, tmp_path: Path
) -> None:
    ada, bob = await log_in("ada"), await log_in("bob")
    adas, bobs = await asyncio.gather(
        commands(ada, base_url).login(), commands(bob, base_url).login()
    )
    folder = tmp_path / "odd"
    names = ["aux.txt", "a" * 255, "ends with dot.", "-rf", "x\ny", "naïve 😀.txt", "quote'\"?.txt"]
    for name in names:
        (folder / "deep er").mkdir(parents=True, exist_ok=True)
        (folder / "deep er" / name).write_bytes(name.encode())
    (folder / "link").symlink_to("/etc/passwd")
    sent = await adas.run("send", str(folder), "--to", bob.username, "--wait", "nobody")
    assert sent.process.returncode == 0, sent.errors
    assert b"Left out" in sent.errors

    got = await bobs.run("receive", "--all", "--json", "--into", "in")

    assert got.process.returncode == 0, got.errors
    files = [Path(path) for path in got.of_type("received")[0]["files"]]
    assert sorted(path.read_bytes() for path in files) == sorted(n.encode() for n in names)
    assert all(path.is_relative_to((bobs.home / "in").resolve()) for path in files)


async def test_an_upload_that_was_killed_goes_on_and_comes_back_as_it_was(
    log_in: LogIn, commands: Commands, line: ChaosProxy, film: Path
) -> None:
    ada = await log_in("ada")
    adas = await commands(ada, f"http://{line.host}:{line.port}").login()
    line.latency(0.01)
    first = await adas.start("upload", str(film), "--json")
    await first.record(lambda r: r["type"] == "progress" and r["done_bytes"] >= 8 * MIB)
    first.kill()
    await first.end()
    line.heal()

    second = await adas.run("upload", str(film), "--json")
    assert second.process.returncode == 0, second.errors
    assert second.of_type("progress")[0]["done_bytes"] > 0, "it went on"
    uploaded = second.of_type("uploaded")[0]

    line.latency(0.01)
    download = ("download", uploaded["id"], "-o", "back.mkv", "--json")
    third = await adas.start(*download)
    await third.record(lambda r: r["type"] == "progress" and r["done_bytes"] >= 4 * MIB)
    third.kill()
    await third.end()
    line.heal()
    fourth = await adas.run(*download)
    assert fourth.process.returncode == 0, fourth.errors
    assert fourth.of_type("progress")[0]["done_bytes"] > 4 * MIB, "it went on"
    assert (adas.home / "back.mkv").read_bytes() == film.read_bytes()
    assert sorted(path.name for path in adas.home.iterdir()) == ["back.mkv", "config", "state"]


async def test_chat_in_lines_and_as_objects(
    log_in: LogIn, commands: Commands, base_url: str
) -> None:
    ada, bob = await log_in("ada"), await log_in("bob")
    adas, bobs = await asyncio.gather(
        commands(ada, base_url).login(), commands(bob, base_url).login()
    )
    channel_id = await channel_of(ada, bob)
    talking = await bobs.start("chat", "engines", "--json")
    said = await adas.run("chat", "engines", "--send", "Does the engine run?", "--json")
    await talking.record(lambda record: record.get("text") == "Does the engine run?")
    await talking.write("It weaves.\n")
    await talking.record(lambda record: record.get("text") == "It weaves.")
    assert talking.process.stdin is not None
    talking.process.stdin.close()
    assert await talking.end() == 0, talking.errors

    history = await adas.run("chat", channel_id, "--history", "10")
    assert said.records[0]["channel_id"] == channel_id
    assert [line.split("  ", 1)[1] for line in history.lines] == [
        f"{ada.username}: Does the engine run?",
        f"{bob.username}: It weaves.",
    ]
    listed = (await bobs.run("channels", "--json")).records
    assert [(each["name"], each["unread_count"]) for each in listed] == [("engines", 0)]


async def test_every_end_has_its_exit_status_and_says_what_to_do(
    log_in: LogIn, commands: Commands, base_url: str, film: Path, tmp_path: Path
) -> None:
    ada = await log_in("ada")
    adas = commands(ada, base_url)

    strange = await adas.run("send", str(film))
    nobody = await adas.run("whoami", "--json")
    wrong = await adas.run("login", ada.username, "--password-stdin", stdin="wrong")
    away = await adas.run("whoami", "--url", "http://127.0.0.1:9", "--json")
    await adas.login()
    who = await adas.run("whoami", "--json")
    unknown = await adas.run("send", str(film), "--to", "nobody-of-this-name", "--json")
    devices = await adas.run("devices", "--json")
    out = await adas.run("logout", "--json")
    after = await adas.run("channels")

    assert strange.process.returncode == 2
    assert nobody.process.returncode == 3
    assert nobody.records[0]["exit_status"] == 3
    assert "sharezync login" in nobody.records[0]["hint"]
    assert wrong.process.returncode == 1
    assert b"name and the password" in wrong.errors
    assert away.process.returncode == 3, "no login is kept for that server"
    assert (who.process.returncode, who.records[0]["username"]) == (0, ada.username)
    assert unknown.process.returncode == 1
    assert "nobody called" in unknown.records[0]["message"]
    assert [each["client_id"] for each in devices.records] == [who.records[0]["device"]]
    assert (out.process.returncode, out.records[0]["type"]) == (0, "logged_out")
    assert after.process.returncode == 3


async def test_a_server_that_is_gone_is_told_as_that(
    log_in: LogIn, commands: Commands, line: ChaosProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada = await log_in("ada")
    adas = await commands(ada, f"http://{line.host}:{line.port}").login()
    monkeypatch.setenv("SHAREZYNC_PATIENCE_SECONDS", "1")
    line.refuse()
    away = await adas.run("whoami", "--json")
    assert away.process.returncode == 4, away.errors
    assert away.records[0]["code"] == "unreachable"


async def test_json_takes_nothing_that_nobody_agreed_to(
    log_in: LogIn, commands: Commands, base_url: str, film: Path
) -> None:
    ada, bob = await log_in("ada"), await log_in("bob")
    adas, bobs = await asyncio.gather(
        commands(ada, base_url).login(), commands(bob, base_url).login()
    )
    await adas.run("send", str(film), "--to", bob.username, "--wait", "nobody")
    refused: Running = await bobs.run("receive", "--json", "--into", "in")
    typed = await bobs.run("receive", "--into", "in", stdin="y\n")
    for each in (refused, typed):
        assert each.process.returncode == 1
    assert refused.of_type("offer")[0]["sender"] == ada.username
    assert "--yes" in refused.of_type("error")[0]["message"]
    assert b"in a terminal" in typed.errors, "what is piped in is nobody's answer"
    assert not list((bobs.home / "in").glob("*"))
    taken = await bobs.run("receive", "--into", "in", "--yes")
    assert taken.process.returncode == 0, taken.errors
    assert arrived(bobs.home / "in") == {"film.mkv": film.read_bytes()}


async def test_a_transfer_plants_nothing_and_says_what_it_would_have(
    log_in: LogIn, commands: Commands, base_url: str, tmp_path: Path
) -> None:
    ada, bob = await log_in("ada"), await log_in("bob")
    bobs = await commands(bob, base_url).login()
    names = [".ssh/authorized_keys", ".bash_profile", "holiday/1.jpg", "x.desktop"]
    folder = tmp_path / "sent"
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    sent = [folder / each for each in (".ssh", ".bash_profile", "holiday", "x.desktop")]
    saved = ["_.ssh/authorized_keys_", "_.bash_profile", "holiday/1.jpg", "x.desktop_"]
    for straight in (False, True):
        await ada.session.transfers.send(sent, to=[bob.username], device="x", wait="nobody")
        before = {path: path.stat().st_mtime_ns for path in bobs.home.rglob("*")}
        flags = ["--no-new-folder"] if straight else []
        got = await bobs.run("receive", "--yes", *flags, "--json")
        assert got.process.returncode == 0, got.errors
        (offer,), (done,) = got.of_type("offer"), got.of_type("received")
        assert offer["files"] == names
        assert [(each["file"], each["saved_as"]) for each in offer["dangerous"]] == [
            pair for pair in zip(names, saved, strict=True) if pair[0] != pair[1]
        ]
        placed = [Path(each).relative_to(done["folder"]).as_posix() for each in done["files"]]
        assert (placed, done["sent_as"]) == (saved, names)
        assert [Path(each).read_text() for each in done["files"]] == names
        assert (Path(done["folder"]) == bobs.home.resolve()) is straight
        assert all(path.exists() for path in before), "what was there is there"


async def test_channels_are_made_found_joined_and_left(
    log_in: LogIn, commands: Commands, base_url: str
) -> None:
    ada, bob = await log_in("ada"), await log_in("bob")
    adas, bobs = await asyncio.gather(
        commands(ada, base_url).login(), commands(bob, base_url).login()
    )
    name = f"engines-{ada.username[-8:]}"
    made = (await adas.run("create-channel", name, "--public", "--json")).of_type("channel")[0]
    listed = (await bobs.run("channels", "--public", "--json")).of_type("channel")
    assert made["id"] in {each["id"] for each in listed}
    assert (await bobs.run("join", name)).process.returncode == 0
    assert (await adas.run("chat", f"@{bob.username}", "--send", "hello")).process.returncode == 0

    mine = await bobs.run("channels", "--json")
    assert {each["kind"]: each["people"] for each in mine.of_type("channel")} == {
        "public": [],
        "direct": [ada.username],
    }
    shown = (await bobs.run("channels")).text
    assert f"@{ada.username}" in shown
    assert name in shown

    assert (await bobs.run("leave", name)).process.returncode == 0
    again = await bobs.run("leave", name, "--json")
    assert again.process.returncode == 1
    private = (await adas.run("create-channel", "board", "--json")).of_type("channel")[0]
    added = await adas.run("add", private["id"], bob.username, "--json")
    assert added.of_type("added")[0]["user"] == bob.username


async def test_files_are_listed_shared_and_deleted(
    log_in: LogIn, commands: Commands, base_url: str, tmp_path: Path
) -> None:
    ada = await log_in("ada")
    adas = await commands(ada, base_url).login()
    path = tmp_path / "plans.txt"
    path.write_text("steam")
    uploaded = (await adas.run("upload", str(path), "--json")).of_type("uploaded")[0]
    assert "plans.txt" in (await adas.run("files")).text
    shared = await adas.run("share", uploaded["id"], "--downloads", "1", "--json")
    link = shared.of_type("link")[0]
    async with httpx.AsyncClient() as stranger:
        fetched = await stranger.post(f"{link['url']}/content")
    assert fetched.text == "steam"
    (listed,) = (await adas.run("share", "--list", uploaded["id"], "--json")).of_type("link")
    assert (listed["id"], listed["downloads_left"]) == (link["id"], 0)
    ended = await adas.run("unshare", uploaded["id"], link["id"], "--json")
    assert ended.of_type("unshared")
    assert (await adas.run("delete", uploaded["id"])).process.returncode == 0
    assert "plans.txt" not in (await adas.run("files")).text


async def test_what_is_typed_at_a_terminal_is_not_shown_again(
    log_in: LogIn, commands: Commands, base_url: str
) -> None:
    ada, bob = await log_in("ada"), await log_in("bob")
    adas = await commands(ada, base_url).login()
    channel_id = await channel_of(ada, bob)
    leader, follower = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "sharezync", "chat", channel_id,
        stdin=follower, stdout=follower, stderr=follower, env=adas.environment,
    )  # fmt: skip
    os.close(follower)
    os.set_blocking(leader, False)
    seen = bytearray()

    def screen() -> str:
        with suppress(BlockingIOError, OSError):
            seen.extend(os.read(leader, 65536))
        return seen.decode(errors="replace")

    async def is_said(text: str) -> bool:
        history = await bob.session.chat.history(channel_id)
        return any(message.text == text for message in history)

    os.write(leader, b"by ada\n")
    for _ in range(300):
        if await is_said("by ada"):
            break
        await asyncio.sleep(0.1)
    await bob.session.chat.send(channel_id, "by bob")
    await wait_until(lambda: "by bob" in screen())
    os.write(leader, b"\x04")
    assert await asyncio.wait_for(process.wait(), GIVE_UP_SECONDS) == 0
    os.close(leader)
    assert screen().count("by ada") == 1, screen()
