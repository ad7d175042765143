"""`chat` and `channels`."""

import asyncio
import sys
import threading
from typing import Final

import click

from sharezync.cli.common import Context, command
from sharezync.cli.text import column, one_line
from sharezync.documents import Channel, Message
from sharezync.realtime.frames import StreamEventFrame, StreamReset
from sharezync.realtime.socket import Socket
from sharezync.session import Session

_NAME_CELLS: Final = 40


@click.command()
@command
async def channels(context: Context) -> None:
    """List your channels."""
    async with context.session() as session:
        for each in await session.chat.channels():
            context.out.record(
                "channel",
                id=each.id,
                kind=each.kind,
                name=each.name,
                topic=each.topic,
                member_count=each.member_count,
                unread_count=each.unread_count,
                mention_count=each.mention_count,
            )
            unread = f"  {each.unread_count} unread" if each.unread_count else ""
            name = one_line(each.name or "(no name)")
            context.out.say(f"{one_line(each.id)}  {column(each.kind, 8)} {name}{unread}")


@click.command()
@click.argument("channel")
@click.option("--send", "text", metavar="TEXT", help="Send TEXT and exit.")
@click.option(
    "--history",
    metavar="N",
    type=click.IntRange(0, 10_000),
    help="Show the last N messages and exit.",
)
@command
async def chat(context: Context, *, channel: str, text: str | None, history: int | None) -> None:
    """Chat in CHANNEL: a name, an id, or @USER for a direct conversation.

    Each line that you enter is sent as a message; Ctrl-D exits.
    """
    async with context.session() as session:
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
        try:
            await asyncio.wait({listening, writing}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            done = [task for task in (writing, listening) if task.done()]
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
        author=message.author,
        author_id=message.author_id,
        author_username=message.author_username,
        text=message.text,
        seq=message.seq,
        deleted=message.deleted,
        created_at=message.created_at,
    )
    text = "(deleted)" if message.deleted else message.text
    context.out.say_after(f"{one_line(message.created_at[11:16])}  {_author(message)}: ", text)


def _author(message: Message) -> str:
    """Return who wrote it: first what nobody else can be called, then what they call themselves."""
    name = one_line(message.author, cells=_NAME_CELLS)
    username = one_line(message.author_username, cells=_NAME_CELLS)
    if name == username or not username:
        return name.replace(":", "_")
    return f'{username.replace(":", "_")} ("{name}")'
