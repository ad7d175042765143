"""`login`, `register`, `logout`, `whoami`, `devices`."""

import sys

import click
from msgspec.structs import asdict

from sharezync.cli.common import Context, command, logged_in
from sharezync.cli.text import one_line
from sharezync.session import Session

_password_option = click.option(
    "--password-stdin", is_flag=True, help="Read the password from standard input."
)


@command
@click.argument("username", required=False)
@_password_option
async def login(context: Context, *, username: str | None, password_stdin: bool) -> None:
    """Log in with USERNAME or an email address. The session is stored on this device."""
    username = username or click.prompt("Username", err=True)
    await _log_in(context, username, _password(from_stdin=password_stdin, confirm=False))


@command
@click.argument("username")
@click.argument("email")
@_password_option
async def register(context: Context, *, username: str, email: str, password_stdin: bool) -> None:
    """Create an account and log in."""
    password = _password(from_stdin=password_stdin, confirm=True)
    async with context.client() as client:
        await client.register(username, email, password)
    await _log_in(context, username, password)


@command
async def logout(context: Context) -> None:
    """End the session, here and on the server."""
    async with context.client() as client:
        await client.logout()
    context.out.show("logged_out", "Logged out.", url=context.url)


@logged_in
async def whoami(context: Context, session: Session) -> None:
    """Show the logged-in user and the name of this device."""
    await _show_user(context, session)


@logged_in
@click.argument("user", required=False)
async def devices(context: Context, session: Session, *, user: str | None) -> None:
    """List your devices, or those of USER if you are acquainted."""
    user_id = None if user is None else (await session.people.find(user)).id
    for each in await session.people.devices(user_id):
        here = "  (this device)" if each.client_id == context.config.client_id else ""
        online = "online " if each.online else "offline"
        text = f"{online}  {one_line(each.client_id)}  {one_line(each.name)}{here}"
        context.out.show("device", text, **asdict(each))


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
        for each in await session.people.devices():
            if each.client_id == config.client_id:
                config.remember_device(context.url, username, each.id)
        await _show_user(context, session)


async def _show_user(context: Context, session: Session) -> None:
    me = await session.people.me()
    device, url = context.config.client_id, context.url
    text = f"Logged in as {one_line(me.username)} at {url}, on {device}"
    context.out.show("user", text, **asdict(me), url=url, device=device)


def _password(*, from_stdin: bool, confirm: bool) -> str:
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    return str(click.prompt("Password", hide_input=True, confirmation_prompt=confirm, err=True))
