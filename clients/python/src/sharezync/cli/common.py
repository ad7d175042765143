"""What every command has: `--url`, `--json`, and a way from click to asyncio."""

import asyncio
import functools
import os
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final, get_args

import click

from sharezync.cli.config import Config
from sharezync.cli.output import Output
from sharezync.client import Client
from sharezync.session import Session
from sharezync.transfer.ways import Over

_PATIENCE_SECONDS: Final = 30.0


over_option = click.option(
    "--over",
    type=click.Choice(get_args(Over)),
    default="auto",
    show_default=True,
    help="By which way: a socket, HTTP, or whichever there is.",
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
        patience = float(os.environ.get("SHAREZYNC_PATIENCE_SECONDS", _PATIENCE_SECONDS))
        async with Client(self.url, tokens=tokens, patience_seconds=patience) as client:
            yield client

    @asynccontextmanager
    async def session(self) -> AsyncGenerator[Session]:
        """Open the login. Raises NotLoggedIn."""
        async with self.client() as client:
            yield client.session()


def command(run: Callable[..., Awaitable[int | None]]) -> Callable[..., int]:
    """Make a click callback of a coroutine function that takes a Context first."""

    @click.option("--url", metavar="URL", envvar="SHAREZYNC_URL", help="The server.")
    @click.option("--json", "as_json", is_flag=True, help="One JSON object a line, and no bars.")
    @functools.wraps(run)
    def callback(url: str | None, as_json: bool, **given: object) -> int:  # noqa: FBT001 - of click
        config = Config()
        context = Context((url or config.url).rstrip("/"), config, Output(as_json=as_json))
        return asyncio.run(_awaited(run(context, **given))) or 0

    return callback


async def _awaited(work: Awaitable[int | None]) -> int | None:
    return await work
