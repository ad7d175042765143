"""`chat`, `channels`, `ban`, `unban`, `bans`, `hide`."""

import asyncio
import sys
import threading
from typing import Final

import click

from sharezync.cli.common import Context, logged_in
from sharezync.cli.text import column, one_line
from sharezync.client import Session
from sharezync.documents import Channel, Message, User
from sharezync.realtime.frame_router import StreamEventFrame, StreamReset
from sharezync.realtime.socket import Socket

_NAME_CELLS: Final = 40


@logged_in
async def channels(context: Context, session: Session) -> None:
    """List your channels."""
    for each in await session.chat.memberships():
        found = each.channel
        unread = f"  {each.unread_count} unread" if each.unread_count else ""
        name = one_line(found.name or "(no name)")
        context.out.show(
            "channel",
            f"{one_line(found.id)}  {column(found.kind, 8)} {name}{unread}",
            id=found.id,
            kind=found.kind,
            name=found.name,
            topic=found.topic,
            member_count=found.member_count,
            unread_count=each.unread_count,
            mention_count=each.mention_count,
        )


@logged_in
@click.argument("channel")
@click.option("--send", "text", metavar="TEXT", help="Send TEXT and exit.")
@click.option(
    "--history",
    metavar="N",
    type=click.IntRange(0, 10_000),
    help="Show the last N messages and exit.",
)
async def chat(
    context: Context, session: Session, *, channel: str, text: str | None, history: int | None
) -> None:
    """Chat in CHANNEL: a name, an id, or @USER for a direct conversation.

    Each line that you enter is sent as a message; Ctrl-D exits.
    """
    found = await session.chat.find(channel)
    if text is not None:
        _show(context, await session.chat.send(found.id, text))
    if history is not None:
        for message in await session.chat.history(found.id, limit=history):
            _show(context, message)
    if text is None and history is None:
        await _talk(context, session, found)


async def _talk(context: Context, session: Session, channel: Channel) -> None:
    async with session.socket(context.config.client_id) as socket:
        shown = await session.chat.history(channel.id, limit=20)
        for message in shown:
            _show(context, message)
        last = shown[-1].seq if shown else 0
        listening = asyncio.create_task(_listen(context, session, socket, channel, last))
        writing = asyncio.create_task(_write(session, channel))
        done: set[asyncio.Task[None]] = set()
        try:
            done, _ = await asyncio.wait({listening, writing}, return_when="FIRST_COMPLETED")
        finally:
            for task in (listening, writing):
                task.cancel()
            await asyncio.gather(listening, writing, return_exceptions=True)
        for task in done:
            task.result()


async def _listen(
    context: Context, session: Session, socket: Socket, channel: Channel, last: int
) -> None:
    stream = f"channel:{channel.id}"
    async for incoming in socket:
        if isinstance(incoming, StreamReset) and incoming.stream == stream:
            missed = await session.chat.history(channel.id, after=last, limit=1000)
        elif isinstance(incoming, StreamEventFrame) and incoming.stream == stream:
            created = incoming.type == "message.created"
            missed = [Message.of(incoming.data)] if created else []
        else:
            continue
        for message in missed:
            if message.seq > last:
                last = message.seq
                _show(context, message)
        if missed:
            await session.chat.mark_read(channel.id, seq=last)


async def _write(session: Session, channel: Channel) -> None:
    """Say each line of standard input, until its end."""
    lines: asyncio.Queue[str] = asyncio.Queue()
    loop = asyncio.get_running_loop()

    def read() -> None:
        for line in sys.stdin:
            loop.call_soon_threadsafe(lines.put_nowait, line.rstrip("\r\n"))
        loop.call_soon_threadsafe(lines.put_nowait, "\x04")

    # A daemon: nobody can take it back from a read that waits for somebody to type.
    threading.Thread(target=read, name="read-lines", daemon=True).start()
    while (line := await lines.get()) != "\x04":
        if line.strip():
            await session.chat.send(channel.id, line)


def _show(context: Context, message: Message) -> None:
    context.out.record(
        "message",
        id=message.id,
        channel_id=message.channel_id,
        author=message.author.display_name or message.author.username,
        author_id=message.author.id,
        author_username=message.author.username,
        text=message.text,
        seq=message.seq,
        deleted=message.deleted,
        created_at=message.created_at,
    )
    text = "(deleted)" if message.deleted else message.text
    context.out.say_after(
        f"{one_line(message.created_at[11:16])}  {_author(message.author)}: ", text
    )


def _author(author: User) -> str:
    """Return who wrote it: first what nobody else can be called, then what they call themselves."""
    name = one_line(author.display_name, cells=_NAME_CELLS)
    username = one_line(author.username, cells=_NAME_CELLS)
    shown = username.replace(":", "_")
    return shown if name in {"", username} else f'{shown} ("{name}")'


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
        raise click.UsageError("Nobody is banned from a conversation: sharezync block keeps away")
    return await session.chat.find(name)


def _name(channel: Channel) -> str:
    return one_line(channel.name or channel.id)
