"""`ban`, `unban`, `bans`, `hide`."""

import click

from sharezync.cli.common import Context, command
from sharezync.cli.text import one_line
from sharezync.documents import Channel
from sharezync.session import Session


@click.command()
@click.argument("channel")
@click.argument("user")
@command
async def ban(context: Context, *, channel: str, user: str) -> None:
    """Remove USER from CHANNEL (its name or id) and keep them out, as its owner or admin."""
    async with context.session() as session:
        found = await _channel(session, channel)
        somebody = await session.people.find(user)
        banned = await session.chat.ban(found.id, somebody.id)
    context.out.record(
        "banned",
        channel_id=found.id,
        user=somebody.username,
        user_id=somebody.id,
        banned_at=banned.banned_at,
    )
    context.out.say(f"You keep {one_line(somebody.username)} out of {_name(found)}.")


@click.command()
@click.argument("channel")
@click.argument("user")
@command
async def unban(context: Context, *, channel: str, user: str) -> None:
    """Let USER come into CHANNEL again: by joining, by a new invite, or by being added."""
    async with context.session() as session:
        found = await _channel(session, channel)
        somebody = await session.people.find(user)
        await session.chat.unban(found.id, somebody.id)
    context.out.record("unbanned", channel_id=found.id, user=somebody.username, user_id=somebody.id)
    context.out.say(f"You let {one_line(somebody.username)} come into {_name(found)} again.")


@click.command()
@click.argument("channel")
@command
async def bans(context: Context, *, channel: str) -> None:
    """List who is kept out of CHANNEL, as its owner or admin."""
    async with context.session() as session:
        found = await _channel(session, channel)
        for each in await session.chat.bans(found.id):
            context.out.record(
                "banned",
                channel_id=found.id,
                user=each.user.username,
                user_id=each.user.id,
                banned_by=each.banned_by.username,
                banned_at=each.banned_at,
            )
            by = one_line(each.banned_by.username)
            context.out.say(
                f"since {one_line(each.banned_at[:10])}  {one_line(each.user.username)}  (by {by})"
            )


@click.command()
@click.argument("user")
@command
async def hide(context: Context, *, user: str) -> None:
    """Hide your direct conversation with USER until the next message. They aren't told."""
    async with context.session() as session:
        somebody = await session.people.find(user)
        found = await session.chat.direct(somebody.id)
        if found is not None:
            await session.chat.hide(found.id)
    channel_id = None if found is None else found.id
    context.out.record("hidden", channel_id=channel_id, user_id=somebody.id)
    name = one_line(somebody.username)
    there_is_none = f"You see no direct conversation with {name}."
    said = f"The conversation with {name} is hidden until the next message. They aren't told."
    context.out.say(there_is_none if found is None else said)


async def _channel(session: Session, name: str) -> Channel:
    if name.startswith("@"):  # to look for it would open a conversation
        raise click.UsageError("Nobody is banned from a conversation: sharezync block keeps away")
    return await session.chat.find(name)


def _name(channel: Channel) -> str:
    return one_line(channel.name or channel.id)
