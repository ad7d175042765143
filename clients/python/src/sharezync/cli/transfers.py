"""`transfers`."""

import click

from sharezync.cli.common import Context, an_id, command
from sharezync.cli.output import size_text
from sharezync.cli.text import column, one_line
from sharezync.documents import Transfer
from sharezync.session import Session


@click.command()
@click.option("--limit", default=20, show_default=True, help="Maximum number of transfers.")
@click.option("--cancel", metavar="ID", callback=an_id, help="Cancel transfer ID instead.")
@click.option("--reject", metavar="ID", callback=an_id, help="Reject transfer ID instead.")
@command
async def transfers(
    context: Context, *, limit: int, cancel: str | None, reject: str | None
) -> None:
    """List sent and received transfers, newest first."""
    async with context.session() as session:
        me = (await session.people.me()).id
        if cancel is not None:
            await _show(context, session, me, await session.transfers.act(cancel, "cancel"))
        if reject is not None:
            await _show(context, session, me, await session.transfers.act(reject, "reject"))
        if cancel is None and reject is None:
            for transfer in await session.transfers.all(most=limit):
                await _show(context, session, me, transfer)


async def _show(context: Context, session: Session, me: str, transfer: Transfer) -> None:
    sent = transfer.sender_id == me
    others = [each.user_id for each in transfer.recipients] if sent else [transfer.sender_id]
    names = [await session.people.name_of(each) for each in others]
    files = [file.path for file in transfer.files]
    received = max((each.received_bytes for each in transfer.recipients), default=0)
    context.out.record(
        "transfer",
        id=transfer.id,
        direction="sent" if sent else "received",
        people=names,
        state=transfer.state,
        size_bytes=transfer.size_bytes,
        received_bytes=received,
        files=files,
        note=transfer.note,
        created_at=transfer.raw.get("created_at"),
    )
    listed = ", ".join(map(one_line, files[:3])) + (" …" if len(files) > 3 else "")
    people = ", ".join(map(one_line, names))
    way = f"to {people}" if sent else f"from {people}"
    size = size_text(transfer.size_bytes)
    state = column(transfer.state, 10)
    context.out.say(f"{one_line(transfer.id)}  {state} {size:>9}  {way}: {listed}")
