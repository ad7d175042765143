"""Addresses, wrong usage, bars and the man page: what needs no server."""

import io
import json
import re
from pathlib import Path

import click
import pytest
from rich.cells import cell_len
from rich.console import Console

from sharezync.cli import run
from sharezync.cli.common import _address
from sharezync.cli.man import man_page
from sharezync.cli.output import Bars, Output

MAN = Path(__file__).parents[2] / "man" / "sharezync.1"


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("chat.example.com", "https://chat.example.com"),
        ("chat.example.com:8443/", "https://chat.example.com:8443"),
        ("localhost:8000", "http://localhost:8000"),
        ("127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("[::1]:8000", "http://[::1]:8000"),
        ("http://chat.example.com/", "http://chat.example.com"),
    ],
)
def test_an_address_may_leave_its_scheme_out(given: str, meant: str) -> None:
    assert _address(given) == meant


@pytest.mark.parametrize("given", ["", "ftp://a", "http://", "a b", "https:///x"])
def test_what_is_no_address_is_told(given: str) -> None:
    with pytest.raises(click.UsageError, match="no address"):
        _address(given)


def test_wrong_usage_is_an_object_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["channels", "--json", "--nope"]) == 2
    said = capsys.readouterr()
    told = json.loads(said.out)
    assert (told["type"], told["code"], told["exit_status"]) == ("error", "usage", 2)
    assert said.err == ""
    assert run(["channels", "--nope"]) == 2
    assert "--nope" in capsys.readouterr().err


def test_without_a_terminal_nobody_is_asked(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setattr("sys.stdin", io.StringIO("secret"))
    assert run(["login", "ada"]) == 2
    assert "use --password-stdin" in capsys.readouterr().err


@pytest.mark.parametrize("width", [20, 30, 40, 60, 80, 200])
def test_bars_fit_and_stand_still(width: int) -> None:
    out = Output(as_json=False)
    screen = io.StringIO()
    out.console = Console(file=screen, width=width, force_terminal=True, color_system=None)
    with Bars(out) as bars:
        for done in (0, 999, 123_456_789, 10**12):
            bars.show("a rather long name of a file.mkv", done, 10**12, note="paused")
            bars._bars.refresh()
    rows = re.split(r"[\r\n]|\x1b\[[0-9;?]*[A-Za-z]", screen.getvalue())
    shown = [row for row in rows if row.strip()]
    assert shown
    assert all(cell_len(row) <= width for row in shown)
    assert len({row.index("%") for row in shown if "%" in row}) <= 1


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_are_told_how_to_complete(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["completion", shell]) == 0
    assert "_SHAREZYNC_COMPLETE" in capsys.readouterr().out


def test_the_man_page_says_what_help_says() -> None:
    assert MAN.read_text() == man_page(), "python -m sharezync.cli.man > man/sharezync.1"
