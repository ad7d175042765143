"""What every command has: `--url`, `--json`, and a way from click to asyncio."""

import asyncio
import functools
import math
import os
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Final, get_args

import click
import httpx

from sharezync.cli.config import Config
from sharezync.cli.output import Output
from sharezync.client import Client
from sharezync.people import is_id
from sharezync.session import Session
from sharezync.transfer.moving import Over

_PATIENCE_SECONDS: Final = 30.0


over_option = click.option(
    "--over",
    type=click.Choice(get_args(Over)),
    default="auto",
    show_default=True,
    help="Use WebSocket, HTTP, or whichever is available.",
)


@dataclass(frozen=True, slots=True)
class Context:
    """One run of a command."""

    url: str
    config: Config
    out: Output

    @asynccontextmanager
    async def client(self) -> AsyncGenerator[Client]:
        """Open the server."""
        tokens = self.config.tokens(self.url)
        async with Client(self.url, tokens=tokens, patience_seconds=_patience_seconds()) as client:
            yield client

    @asynccontextmanager
    async def session(self) -> AsyncGenerator[Session]:
        """Open the login. Raises NotLoggedIn."""
        async with self.client() as client:
            yield client.session()


def command(run: Callable[..., Awaitable[int | None]]) -> Callable[..., int]:
    """Make a click callback of a coroutine function that takes a Context first."""

    @click.option("--url", metavar="URL", envvar="SHAREZYNC_URL", help="URL of the server.")
    @click.option(
        "--json",
        "as_json",
        is_flag=True,
        help="Print a JSON object per line, and no progress bars.",
    )
    @functools.wraps(run)
    def callback(url: str | None, as_json: bool, **given: object) -> int:  # noqa: FBT001 - of click
        config = Config()
        context = Context(_address(url or config.url), config, Output(as_json=as_json))

        async def awaited() -> int | None:
            return await run(context, **given)

        return asyncio.run(awaited()) or 0

    return callback


def an_id(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    """Let only an id through, as a callback of click: it may come from somebody else.

    A path would lead elsewhere at the server.
    """
    if value is not None and not is_id(value):
        raise click.BadParameter(f"{value!r} is no id")
    return value


def _address(url: str) -> str:
    with suppress(httpx.InvalidURL):
        parts = httpx.URL(url)
        if parts.scheme in {"http", "https"} and parts.host:
            return url.rstrip("/")
    raise click.UsageError(f"{url!r} is no address of a server: write http://… or https://…")


def _patience_seconds() -> float:
    given = os.environ.get("SHAREZYNC_PATIENCE_SECONDS", str(_PATIENCE_SECONDS))
    with suppress(ValueError):
        if 0 <= (seconds := float(given)) < math.inf:
            return seconds
    raise click.UsageError(f"SHAREZYNC_PATIENCE_SECONDS is {given!r}: write a number of seconds")
