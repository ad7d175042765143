"""Every command, with hostile text wherever a server or a stranger has a word."""

import fcntl
import io
import json
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.console import Console

from clients.python.tests.support.hostile import FORGED, ID, NASTY, hostile_server
from sharezync import Tokens
from sharezync.cli import cli, run
from sharezync.cli.common import Config
from sharezync.cli.offers import Offered
from sharezync.cli.output import Bars, Output
from sharezync.documents import Transfer
from sharezync_testkit.command_line import SOURCES

# What each command is given. Each must show something of the stranger's, or fail with it.
COMMANDS: dict[str, list[list[str]]] = {
    "login": [["ada", "--password-stdin"]],
    "register": [["ada", "ada@example.com", "--password-stdin"]],
    "logout": [[]],
    "whoami": [[]],
    "devices": [[], [ID]],
    "send": [["notes.txt", "--to", ID, "--over", "http"], ["notes.txt", "--to", "nobody"]],
    "receive": [
        ["--yes", "--over", "http"],
        [ID, "--over", "http", "--no-new-folder"],
        ["--over", "http"],
    ],
    "transfers": [[], ["--reject", ID], ["--cancel", ID]],
    "statistics": [[]],
    "policy": [[], [ID], [ID, "known"], ["nobody"]],
    "block": [[ID]],
    "unblock": [[ID]],
    "blocks": [[]],
    "chat": [[ID, "--history", "5"], [ID, "--send", "hello"], ["nowhere", "--history", "1"]],
    "channels": [[], ["--public"]],
    "create-channel": [["engines"], ["engines", "--public"]],
    "join": [[ID], ["engines"]],
    "leave": [[ID]],
    "add": [[ID, ID]],
    "who-may-add": [[], ["known"]],
    "hide": [[ID]],
    "ban": [[ID, ID]],
    "unban": [[ID, ID]],
    "bans": [[ID]],
    "upload": [["notes.txt"]],
    "download": [[ID], [ID, "-o", "notes.txt"]],
    "files": [[]],
    "delete": [[ID]],
    "share": [[ID], [ID, "--list"]],
    "unshare": [[ID, ID]],
}
SHOWS_NOTHING = {"login", "register", "download", "who-may-add", "delete", "unshare"}
"""Commands that in some of these cases show nothing of the stranger's."""
QUESTION = "Take it? [Y/n, l lists all]: "
WIDTH = 60
FORBIDDEN = set("\u200b\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2028\u2029\x85")


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with hostile_server() as url:
        yield url


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str) -> Path:
    for name in ("XDG_CONFIG_HOME", "XDG_STATE_HOME"):
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.setenv("SHAREZYNC_URL", url)
    monkeypatch.setenv("SHAREZYNC_PATIENCE_SECONDS", "0")
    monkeypatch.setattr("sharezync.cli.keep_memory", lambda: None)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes.txt").write_text("mine")
    return tmp_path


def log_in() -> None:
    config = Config()
    config.tokens(os.environ["SHAREZYNC_URL"]).save(Tokens("a", "r", time.time() + 900, 900))


def said(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *words: str) -> str:
    """Run a command of somebody who is logged in; return all that it printed, hints first."""
    log_in()
    monkeypatch.setattr(sys, "stdin", io.StringIO("password\n"))
    run(list(words))
    captured = capsys.readouterr()
    return captured.err + captured.out


def test_every_command_is_tried() -> None:
    assert set(COMMANDS) == set(cli.commands) - {"completion"}  # which asks no server


@pytest.mark.parametrize(
    "words", [[name, *given] for name, cases in COMMANDS.items() for given in cases], ids=" ".join
)
def test_nothing_is_forged(
    words: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = said(capsys, monkeypatch, *words)
    assert not FORBIDDEN & set(text)
    for row in text.split("\n"):
        assert not {unicodedata.category(each) for each in row} & {"Cc", "Cs"}, ascii(row)
        assert row.count("\u2068") == row.count("\u2069")
    ours = f"Received {Path.cwd().resolve()}"
    for row in text.replace("\u2068", "").splitlines():
        assert not row.startswith(FORGED) or row.startswith(ours), row
    assert "I owe you" in text or words[0] in SHOWS_NOTHING
    assert Path("notes.txt").read_text() == "mine"


@pytest.mark.parametrize(
    "words", [[name, *given] for name, cases in COMMANDS.items() for given in cases], ids=" ".join
)
def test_records_are_in_ascii_and_one_a_line(
    words: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = said(capsys, monkeypatch, *words, "--json")
    assert text.isascii()
    for row in text.splitlines():
        record = json.loads(row)
        assert next(iter(record)) == "type"
        assert record["type"] != NASTY


def test_what_is_received_lies_where_it_was_told_to(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    text = said(capsys, monkeypatch, "receive", "--yes", "--over", "http", "--into", "in")
    (folder,) = (tmp_path / "in").iterdir()
    found = [path for path in folder.rglob("*") if path.is_file()]
    assert len(found) == 4
    assert not [path for path in folder.rglob("*") if path.name.startswith(".")]
    assert text.index("! ") < text.index("plain.txt"), "what is dangerous comes first"
    assert text.count("(sent as") == 3
    assert text.count('Their note: "') == 1


def test_the_question_is_asked_at_a_terminal_and_nobody_else_asks_or_answers(
    tmp_path: Path, url: str
) -> None:
    log_in()
    environment = {**os.environ, "PYTHONPATH": str(SOURCES), "SHAREZYNC_URL": url}
    keyboard, end = pty.openpty()
    fcntl.ioctl(end, termios.TIOCSWINSZ, struct.pack("4H", 24, WIDTH, 0, 0))
    command = [sys.executable, "-m", "sharezync", "receive", "--over", "http"]
    process = subprocess.Popen(
        command, env=environment, cwd=tmp_path, stdin=end, stdout=end, stderr=end
    )
    os.close(end)
    os.write(keyboard, b"y\n")  # before there is a question
    try:
        before = until(keyboard, QUESTION)
        os.write(keyboard, b"l\n")
        listed = until(keyboard, QUESTION)
        os.write(keyboard, b"perhaps\n")
        until(keyboard, QUESTION)
        os.write(keyboard, b"n\n")
        until(keyboard, "Rejected.")
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()
        os.close(keyboard)
    for text in (before, listed):
        rows = text.replace("\r\n", "\n").split("\n")
        assert all(cell_len(row) <= WIDTH for row in rows), "nothing is broken by the terminal"
        assert not any(row.lstrip("\u2068").startswith(FORGED) for row in rows[1:-1]), rows
    assert before.count("  ! ") == 3
    assert listed.count("plain.txt") == 1
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["notes.txt"]


@pytest.mark.parametrize("words", [["channels"], ["channels", "--json"], ["whoami", "--nope"]])
def test_what_a_terminal_has_no_letters_for_is_no_error(words: list[str]) -> None:
    log_in()
    environment = {**os.environ, "PYTHONPATH": str(SOURCES), "PYTHONIOENCODING": "cp1252"}
    done = subprocess.run(
        [sys.executable, "-m", "sharezync", *words],
        env=environment,
        capture_output=True,
        check=False,
    )
    assert (done.returncode, b"Traceback" in done.stderr) == (2 * ("--nope" in words), False)


def test_a_terminal_is_as_wide_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    keyboard, end = pty.openpty()
    with os.fdopen(end, "w") as stream:
        fcntl.ioctl(end, termios.TIOCSWINSZ, struct.pack("4H", 24, 33, 0, 0))
        monkeypatch.setattr(sys, "stderr", stream)
        Output(as_json=False).hint("x" * 100)
        rows = until(keyboard, "x\r\n" + " " * 4 + "x" * 14).split("\r\n")
    os.close(keyboard)
    assert max(map(len, rows)) == 33


def test_what_is_dangerous_is_told_on_the_screen_of_the_question(
    capsys: pytest.CaptureFixture[str],
) -> None:
    names = ["x/" * 400 + f"{number}.txt" for number in range(20)]
    names += ["y/" * 400 + f".{number}" for number in range(40)]
    files = [
        {"index": index, "name": name, "path": name, "size_bytes": 0}
        for index, name in enumerate(names)
    ]
    transfer = Transfer.of({
        "id": ID, "sender_id": ID, "state": "offered", "recipients": [], "note": "z" * 9999,
        "chunk_size_bytes": 1024, "files": files,
    })  # fmt: skip
    Offered(transfer, "eve").show(Output(as_json=False))
    rows = capsys.readouterr().err.splitlines()
    assert rows[-1].startswith("  ! 40 would do something")
    assert max(map(len, rows[:-2])) < 400, "each is short"
    assert "hidden" in rows[1]
    assert rows[1].rstrip().endswith("_.0")


@pytest.mark.parametrize(
    "words", [["receive"], ["download"], ["transfers", "--reject"], ["transfers", "--cancel"]]
)
@pytest.mark.parametrize("told", ["../users/me", f"{ID}/../../auth/logout?", f"{ID}#", "x"])
def test_an_id_that_somebody_told_is_no_path(
    words: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    log_in()
    assert run([*words, told]) == 2
    assert "is no id" in capsys.readouterr().err


@pytest.mark.parametrize("address", ["127.0.0.1:port", "ftp://x", "http://[::1", "http://", "a b"])
def test_what_is_no_address_is_wrong_usage(
    address: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["whoami", "--url", address]) == 2
    assert "is no address" in capsys.readouterr().err


@pytest.mark.parametrize("seconds", ["soon", "nan", "inf", "-1", ""])
def test_what_is_no_patience_is_wrong_usage(
    seconds: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHAREZYNC_PATIENCE_SECONDS", seconds)
    assert run(["whoami"]) == 2
    assert "SHAREZYNC_PATIENCE_SECONDS" in capsys.readouterr().err


def test_bars_have_labels_of_a_bounded_width() -> None:
    bars = Bars(Output(as_json=False))
    for label in (NASTY, "界" * 100, "[bold]x", "stored"):
        bars.show(label, 1, 2, note="receiving", key=f"to {label}")
    bars.show("stored", 1, 2)
    shown = [task.description for task in bars._bars.tasks]
    assert len(shown) == 5, "somebody called like a bar of ours has their own"
    for description in shown:
        assert cell_len(description) <= 30 + len(" receiving")
        assert not FORBIDDEN & set(description)
    screen = io.StringIO()
    Console(file=screen, width=200).print(bars._bars.make_tasks_table(bars._bars.tasks))
    assert "[bold]x receiving" in screen.getvalue(), "it is no markup"


def test_a_display_name_is_no_username(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    author = {"id": ID, "username": "eve", "display_name": "ada: I owe you 1000 euros"}
    message = {"id": ID, "channel_id": ID, "author": author, "text": "!", "created_at": NASTY}
    monkeypatch.setattr("clients.python.tests.support.hostile._message", lambda: message)
    text = said(capsys, monkeypatch, "chat", ID, "--send", "hello")
    assert '  eve ("ada: I owe you 1000 euros"): !' in text


def until(keyboard: int, text: str) -> str:
    """Read what a terminal shows until it shows this."""
    shown = b""
    while text.encode() not in shown:
        ready, _, _ = select.select([keyboard], [], [], 30)
        assert ready, ascii(shown)
        shown += os.read(keyboard, 65536)
    return shown.decode()
