"""`login`, `register`, `logout`, `whoami`, `devices`; policies and blocks of the user."""

from typing import Final, get_args

import click
from msgspec.structs import asdict

from sharezync.cli.common import Context, asked, command, logged_in, password_from
from sharezync.cli.text import one_line
from sharezync.client import Session
from sharezync.documents import Device, Policy, ReceivingPolicy, WhoMayAdd
from sharezync.people import NoSuchUser

_password_option = click.option(
    "--password-stdin", is_flag=True, help="Read the password from standard input."
)

_POLICIES: Final[dict[str, Policy]] = {"ask": "ask", "known": "accept_known", "block": "block"}
_NAMES: Final = {policy: name for name, policy in _POLICIES.items()}
_MEANS: Final = {
    "ask": "offers wait for an answer",
    "known": "takes what people you know send",
    "block": "rejects what is sent to it alone",
}


@command
@click.argument("username", required=False)
@_password_option
async def login(context: Context, *, username: str | None, password_stdin: bool) -> None:
    """Log in with USERNAME or an email address. The session is stored on this device."""
    username = username or asked("username", instead="give it as an argument")
    await _log_in(context, username, password_from(stdin=password_stdin, confirm=False))


@command
@click.argument("username")
@click.argument("email")
@_password_option
async def register(context: Context, *, username: str, email: str, password_stdin: bool) -> None:
    """Create an account and log in."""
    password = password_from(stdin=password_stdin, confirm=True)
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


@logged_in
@click.argument("device", required=False)
@click.argument("choice", required=False, type=click.Choice(list(_POLICIES)))
async def policy(
    context: Context, session: Session, *, device: str | None, choice: str | None
) -> None:
    """Show the offer policies of your devices, or set that of DEVICE (`here` is this one).

    ask: offers wait for an answer. known: offers are accepted at once if the sender is in a channel
    that you have joined or written to, or if you have accepted a transfer of theirs before; get the
    files with `sharezync receive`. block: offers to this device are rejected.
    """
    if device is None:
        given = {each.device_id: each for each in await session.preferences.policies()}
        for each in await session.people.devices():
            _show(context, each, given.get(each.id, ReceivingPolicy(each.id, "ask", None)))
        return
    found = await _own_device(context, session, device)
    if choice is None:
        _show(context, found, await session.preferences.policy(found.id))
    else:
        chosen = await session.preferences.set_policy(found.id, _POLICIES[choice])
        _show(context, found, chosen)


@logged_in
@click.argument("who", required=False, type=click.Choice(get_args(WhoMayAdd)))
async def who_may_add(context: Context, session: Session, *, who: WhoMayAdd | None) -> None:
    """Show or set who may add you to channels and open conversations with you.

    known: people in whose company you joined a channel, wrote, or accepted a conversation.
    Conversations in which you have spoken go on whatever you say.
    """
    preferences = session.preferences
    if who is None:
        who = await preferences.who_may_add()
    else:
        who = await preferences.set_who_may_add(who)
    text = f"{who} may add you to channels and open conversations with you.".capitalize()
    context.out.show("who_may_add", text, who=who)


@logged_in
@click.argument("user")
async def block(context: Context, session: Session, *, user: str) -> None:
    """Block USER: neither can message, add or see the other, or send them files.

    The user isn't notified.
    """
    found = await session.people.find(user)
    blocked = await session.preferences.block(found.id)
    text = f"You and {one_line(found.username)} can't reach each other. They aren't notified."
    context.out.show(
        "blocked", text, user=found.username, user_id=found.id, blocked_at=blocked.blocked_at
    )


@logged_in
@click.argument("user")
async def unblock(context: Context, session: Session, *, user: str) -> None:
    """Unblock USER. Transfers that they offered while blocked stay hidden."""
    found = await session.people.find(user)
    await session.preferences.unblock(found.id)
    text = f"You and {one_line(found.username)} can reach each other again."
    context.out.show("unblocked", text, user=found.username, user_id=found.id)


@logged_in
async def blocks(context: Context, session: Session) -> None:
    """List blocked users."""
    for each in await session.preferences.blocked():
        name = await session.people.name_of(each.user_id)
        text = f"since {one_line(each.blocked_at[:10])}  {one_line(name)}"
        context.out.show("blocked", text, user=name, **asdict(each))


async def _own_device(context: Context, session: Session, name: str) -> Device:
    wanted = context.config.client_id if name == "here" else name
    try:
        return await session.people.find_device(await session.people.me(), wanted)
    except NoSuchUser:
        if name in _POLICIES:
            raise click.UsageError(f"Name a device first: sharezync policy here {name}") from None
        raise


def _show(context: Context, device: Device, policy: ReceivingPolicy) -> None:
    name = _NAMES[policy.policy]
    here = "  (this device)" if device.client_id == context.config.client_id else ""
    context.out.show(
        "policy",
        f"{name:<5}  {one_line(device.client_id)}{here}: {_MEANS[name]}",
        device_id=device.id,
        client_id=device.client_id,
        name=device.name,
        policy=name,
        updated_at=policy.updated_at,
    )
