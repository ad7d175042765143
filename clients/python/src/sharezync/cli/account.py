"""`login`, `register`, `logout`, `whoami`, `devices`."""

import sys

import click

from sharezync.cli.common import Context, command
from sharezync.cli.text import one_line
from sharezync.documents import User
from sharezync.session import Session


@click.command()
@click.argument("username", required=False)
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")
@command
async def login(context: Context, *, username: str | None, password_stdin: bool) -> None:
    """Log in with USERNAME or an email address. The session is stored on this device."""
    username = username or click.prompt("Username", err=True)
    password = _password(from_stdin=password_stdin, confirm=False)
    await _log_in(context, username, password)


@click.command()
@click.argument("username")
@click.argument("email")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")
@command
async def register(context: Context, *, username: str, email: str, password_stdin: bool) -> None:
    """Create an account and log in."""
    password = _password(from_stdin=password_stdin, confirm=True)
    async with context.client() as client:
        await client.register(username, email, password)
    await _log_in(context, username, password)


@click.command()
@command
async def logout(context: Context) -> None:
    """End the session, here and on the server."""
    async with context.client() as client:
        await client.logout()
    context.out.record("logged_out", url=context.url)
    context.out.say("Logged out.")


@click.command()
@command
async def whoami(context: Context) -> None:
    """Show the logged-in user and the name of this device."""
    async with context.session() as session:
        _tell(context, await session.people.me())


@click.command()
@click.argument("user", required=False)
@command
async def devices(context: Context, *, user: str | None) -> None:
    """List your devices, or those of USER if you are acquainted."""
    async with context.session() as session:
        user_id = None if user is None else (await session.people.find(user)).id
        for each in await session.people.devices(user_id):
            context.out.record(
                "device",
                id=each.id,
                client_id=each.client_id,
                name=each.name,
                platform=each.platform,
                online=each.online,
                last_seen_at=each.last_seen_at,
            )
            here = "  (this device)" if each.client_id == context.config.client_id else ""
            online = "online " if each.online else "offline"
            context.out.say(f"{online}  {one_line(each.client_id)}  {one_line(each.name)}{here}")


async def _log_in(context: Context, username: str, password: str) -> None:
    config = context.config
    async with context.client() as client:
        session = await client.login(
            username,
            password,
            device=config.client_id,
            device_id=config.device_id(context.url, username),
        )
        config.use(context.url)
        await _remember_device(context, session, username)
        _tell(context, await session.people.me())


async def _remember_device(context: Context, session: Session, username: str) -> None:
    for each in await session.people.devices():
        if each.client_id == context.config.client_id:
            context.config.remember_device(context.url, username, each.id)


def _tell(context: Context, me: User) -> None:
    context.out.record(
        "user",
        id=me.id,
        username=me.username,
        display_name=me.display_name,
        email=me.email,
        url=context.url,
        device=context.config.client_id,
    )
    who = one_line(me.username)
    context.out.say(f"Logged in as {who} at {context.url}, on {context.config.client_id}")


def _password(*, from_stdin: bool, confirm: bool) -> str:
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    return str(click.prompt("Password", hide_input=True, confirmation_prompt=confirm, err=True))
