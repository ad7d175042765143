"""What all commands have: `--url`, `--json`, what is remembered, a way from click to asyncio."""

import asyncio
import functools
import hashlib
import math
import os
import platform
import re
import secrets
import sys
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any, Final, get_args

import click
import httpx

from sharezync.cli.output import Output
from sharezync.client import Client
from sharezync.local import JsonFile, config_folder, state_folder
from sharezync.people import is_id
from sharezync.tokens import FileTokens
from sharezync.transfer.transfers import Over

DEFAULT_URL: Final = "http://127.0.0.1:8000"
_PATIENCE_SECONDS: Final = 30.0

over_option = click.option(
    "--over",
    type=click.Choice(get_args(Over)),
    default="auto",
    show_default=True,
    help="Use WebSocket, HTTP, or whichever is available.",
)


class Config:
    """`config.json` (which server, which device this is) and a folder for each server."""

    def __init__(self) -> None:
        self.folder = config_folder()
        self.state = state_folder()
        self._file = JsonFile(self.folder / "config.json")
        self._content = self._file.members

    @property
    def url(self) -> str:
        """The server of the last login."""
        return str(self._content.get("url", DEFAULT_URL))

    @property
    def client_id(self) -> str:
        """What this device calls itself: chosen once, the same for all servers and logins."""
        if "client_id" not in self._content:
            host = re.sub(r"[^A-Za-z0-9]+", "-", platform.node()).strip("-").lower() or "cli"
            self._file.update(client_id=f"{host[:40]}-{secrets.token_hex(3)}")
        return str(self._content["client_id"])

    def use(self, url: str) -> None:
        """Take this server from now on, where no other is named."""
        self._file.update(url=url)

    def tokens(self, url: str) -> FileTokens:
        """Return the login at a server."""
        return FileTokens(self.folder / "logins" / f"{_key(url)}.json")

    def device_id(self, url: str, username: str) -> str | None:
        """Return the id of this device as a user's there, where it is known."""
        found = self._content.get("devices", {}).get(f"{_key(url)}/{username}")
        return None if found is None else str(found)

    def remember_device(self, url: str, username: str, device_id: str) -> None:
        """Keep it for the next login."""
        devices = {**self._content.get("devices", {}), f"{_key(url)}/{username}": device_id}
        self._file.update(devices=devices)


@dataclass(frozen=True, slots=True)
class Context:
    """One run of a command."""

    url: str
    config: Config
    out: Output

    def client(self) -> Client:
        """Return the server, to be entered."""
        tokens = self.config.tokens(self.url)
        return Client(self.url, tokens=tokens, patience_seconds=_patience_seconds())


_OPTIONS: Final = (
    click.Option(["--url"], metavar="URL", envvar="SHAREZYNC_URL", help="URL of the server."),
    click.Option(
        ["--json", "as_json"],
        is_flag=True,
        help="Print a JSON object per line, and no progress bars.",
    ),
)


def command(run: Callable[..., Coroutine[Any, Any, None]]) -> click.Command:
    """Make a command of a coroutine function that takes a Context first."""

    @functools.wraps(run)
    def callback(url: str | None, as_json: bool, **given: object) -> None:  # noqa: FBT001 - of click
        config = Config()
        context = Context(_address(url or config.url), config, Output(as_json=as_json))
        asyncio.run(run(context, **given))

    made = click.command()(callback)
    made.params += _OPTIONS
    return made


def logged_in(run: Callable[..., Coroutine[Any, Any, None]]) -> click.Command:
    """Make a command as `command` does, of one that takes the login's Session as well."""

    @functools.wraps(run)
    async def with_session(context: Context, **given: object) -> None:
        async with context.client() as client:
            await run(context, client.session(), **given)

    return command(with_session)


def an_id(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    """Let only an id through, as a callback of click: it may come from somebody else.

    A path would lead elsewhere at the server.
    """
    if value is not None and not is_id(value):
        raise click.BadParameter(f"{value!r} is no id")
    return value


def asked(question: str, *, instead: str, hidden: bool = False, confirm: bool = False) -> str:
    """Ask somebody at the terminal. Raises UsageError where there is none; then `instead` helps."""
    if not sys.stdin.isatty():
        raise click.UsageError(f"There is no terminal to ask for the {question} at: {instead}")
    text = question.capitalize()
    return str(click.prompt(text, hide_input=hidden, confirmation_prompt=confirm, err=True))


def password_from(*, stdin: bool, confirm: bool) -> str:
    """Return a password: a line of standard input, or what somebody types."""
    if stdin:
        return sys.stdin.readline().rstrip("\r\n")
    return asked("password", instead="use --password-stdin", hidden=True, confirm=confirm)


def _address(given: str) -> str:
    """Return the URL of a server; one without a scheme is of https, or of http on this machine."""
    url = given if "://" in given else f"//{given}"
    with suppress(httpx.InvalidURL, ValueError):
        parts = httpx.URL(url)
        if not parts.scheme:
            scheme = "http" if _is_here(parts.host) else "https"
            url = f"{scheme}:{url}"
            parts = httpx.URL(url)
        if parts.scheme in {"http", "https"} and parts.host and not re.search(r"\s", given):
            return url.rstrip("/")
    raise click.UsageError(f"{given!r} is no address of a server: write http://… or https://…")


def _is_here(host: str) -> bool:
    with suppress(ValueError):
        return ip_address(host).is_loopback
    return host == "localhost"


def _patience_seconds() -> float:
    given = os.environ.get("SHAREZYNC_PATIENCE_SECONDS", str(_PATIENCE_SECONDS))
    with suppress(ValueError):
        if 0 <= (seconds := float(given)) < math.inf:
            return seconds
    raise click.UsageError(f"SHAREZYNC_PATIENCE_SECONDS is {given!r}: write a number of seconds")


def _key(url: str) -> str:
    return hashlib.sha256(url.encode()).hexdigest()[:16]
