"""`channels`, `create-channel`, `join`, `leave`, `add`, `hide`, `ban`, `unban`, `bans`."""

import click

from sharezync.cli.common import Context, logged_in
from sharezync.cli.text import column, one_line
from sharezync.client import Session
from sharezync.documents import Channel, Membership


@logged_in
@click.option("--public", is_flag=True, help="List the channels that you can join, instead.")
async def channels(context: Context, session: Session, *, public: bool) -> None:
    """List your channels and conversations, or public channels."""
    if public:
        for found in await session.chat.public(most=200):
            _show(context, "", Membership(found), one_line(found.name or ""))
        return
    me = (await session.people.me()).id
    for each in await session.chat.memberships():
        _show(context, me, each, _title(each.channel, me))


@logged_in
@click.argument("name")
@click.option("--public", is_flag=True, help="Everybody can find and join it.")
async def create_channel(context: Context, session: Session, *, name: str, public: bool) -> None:
    """Create the channel NAME: private, with you as its owner."""
    made = await session.chat.create(name, private=not public)
    shown_id = one_line(made.id)
    then = "Everybody can join it." if public else f"Add somebody: sharezync add {shown_id} USER"
    text = f"Created {_name(made)} ({shown_id}). {then}"
    context.out.show("channel", text, id=made.id, kind=made.kind, name=made.name)


@logged_in
@click.argument("channel")
async def join(context: Context, session: Session, *, channel: str) -> None:
    """Join the public CHANNEL, by its name or id."""
    found = await session.chat.find_public(channel)
    await session.chat.join(found.id)
    context.out.show("joined", f"You are in {_name(found)} now.", id=found.id, name=found.name)


@logged_in
@click.argument("channel")
async def leave(context: Context, session: Session, *, channel: str) -> None:
    """Leave CHANNEL, by its name or id."""
    found = await _channel(session, channel)
    await session.chat.leave(found.id)
    context.out.show("left", f"You have left {_name(found)}.", id=found.id, name=found.name)


@logged_in
@click.argument("channel")
@click.argument("user")
async def add(context: Context, session: Session, *, channel: str, user: str) -> None:
    """Add USER to CHANNEL, by its name or id."""
    found = await _channel(session, channel)
    somebody = await session.people.find(user)
    await session.chat.add(found.id, somebody.id)
    text = f"{one_line(somebody.username)} is in {_name(found)} now."
    context.out.show("added", text, id=found.id, user=somebody.username, user_id=somebody.id)


def _show(context: Context, me: str, membership: Membership, title: str) -> None:
    found = membership.channel
    unread = f"  {membership.unread_count} unread" if membership.unread_count else ""
    context.out.show(
        "channel",
        f"{one_line(found.id)}  {column(found.kind, 8)} {title}{unread}",
        id=found.id,
        kind=found.kind,
        name=found.name,
        topic=found.topic,
        people=[each.username for each in found.participants if each.id != me],
        member_count=found.member_count,
        unread_count=membership.unread_count,
        mention_count=membership.mention_count,
    )


def _title(channel: Channel, me: str) -> str:
    """Return its name; of a conversation with whom it is."""
    people = [f"@{each.username}" for each in channel.participants if each.id != me]
    return one_line(channel.name or ", ".join(people) or "(nobody else)")


@logged_in
@click.argument("channel")
@click.argument("user")
async def ban(context: Context, session: Session, *, channel: str, user: str) -> None:
    """Remove USER from CHANNEL (its name or id) and keep them out, as its owner or admin."""
    found = await _channel(session, channel)
    somebody = await session.people.find(user)
    banned = await session.chat.ban(found.id, somebody.id)
    context.out.show(
        "banned",
        f"You keep {one_line(somebody.username)} out of {_name(found)}.",
        channel_id=found.id,
        user=somebody.username,
        user_id=somebody.id,
        banned_at=banned.banned_at,
    )


@logged_in
@click.argument("channel")
@click.argument("user")
async def unban(context: Context, session: Session, *, channel: str, user: str) -> None:
    """Let USER come into CHANNEL again: by joining, by a new invite, or by being added."""
    found = await _channel(session, channel)
    somebody = await session.people.find(user)
    await session.chat.unban(found.id, somebody.id)
    text = f"You let {one_line(somebody.username)} come into {_name(found)} again."
    context.out.show(
        "unbanned", text, channel_id=found.id, user=somebody.username, user_id=somebody.id
    )


@logged_in
@click.argument("channel")
async def bans(context: Context, session: Session, *, channel: str) -> None:
    """List who is kept out of CHANNEL, as its owner or admin."""
    found = await _channel(session, channel)
    for each in await session.chat.bans(found.id):
        by = one_line(each.banned_by.username)
        context.out.show(
            "banned",
            f"since {one_line(each.banned_at[:10])}  {one_line(each.user.username)}  (by {by})",
            channel_id=found.id,
            user=each.user.username,
            user_id=each.user.id,
            banned_by=each.banned_by.username,
            banned_at=each.banned_at,
        )


@logged_in
@click.argument("user")
async def hide(context: Context, session: Session, *, user: str) -> None:
    """Hide your direct conversation with USER until the next message. They aren't notified."""
    somebody = await session.people.find(user)
    found = await session.chat.direct(somebody.id)
    if found is not None:
        await session.chat.hide(found.id)
    name = one_line(somebody.username)
    text = f"The conversation with {name} is hidden until the next message. They aren't told."
    if found is None:
        text = f"You see no direct conversation with {name}."
    channel_id = None if found is None else found.id
    context.out.show("hidden", text, channel_id=channel_id, user_id=somebody.id)


async def _channel(session: Session, name: str) -> Channel:
    if name.startswith("@"):  # to look for it would open a conversation
        raise click.UsageError("A direct conversation is between two: hide it, or block the other")
    return await session.chat.find(name)


def _name(channel: Channel) -> str:
    return one_line(channel.name or channel.id)
