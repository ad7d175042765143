"""`chat`."""

import asyncio
import sys
import threading
import uuid
from typing import Final

import click

from sharezync.cli.common import Context, logged_in
from sharezync.cli.text import one_line
from sharezync.client import Session
from sharezync.documents import Channel, Message, User
from sharezync.realtime.frame_router import StreamEventFrame, StreamReset
from sharezync.realtime.socket import Socket

_NAME_CELLS: Final = 40


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
        typed: set[str] = set()
        listening = asyncio.create_task(_listen(context, session, socket, channel, last, typed))
        writing = asyncio.create_task(_write(session, channel, typed))
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
    context: Context,
    session: Session,
    socket: Socket,
    channel: Channel,
    last: int,
    typed: set[str],
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
                _show(context, message, seen=message.client_message_id in typed)
        if missed:
            await session.chat.mark_read(channel.id, seq=last)


async def _write(session: Session, channel: Channel, typed: set[str]) -> None:
    """Say each line of standard input, until its end.

    `typed` gets the keys of those that a person sees already, as they typed them at the terminal.
    """
    at_terminal = sys.stdin.isatty() and sys.stdout.isatty()
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
            key = str(uuid.uuid4())
            if at_terminal:
                typed.add(key)
            await session.chat.send(channel.id, line, client_message_id=key)


def _show(context: Context, message: Message, *, seen: bool = False) -> None:
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
    if seen:
        return
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
