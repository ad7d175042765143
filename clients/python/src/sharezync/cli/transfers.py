"""`transfers`, `statistics`."""

import click
from msgspec.structs import asdict

from sharezync.cli.common import Context, an_id, logged_in
from sharezync.cli.output import size_text
from sharezync.cli.text import column, one_line
from sharezync.documents import BothWays, Transfer, TransferTotals
from sharezync.session import Session


@logged_in
@click.option("--limit", default=20, show_default=True, help="Maximum number of transfers.")
@click.option("--cancel", metavar="ID", callback=an_id, help="Cancel transfer ID instead.")
@click.option("--reject", metavar="ID", callback=an_id, help="Reject transfer ID instead.")
async def transfers(
    context: Context, session: Session, *, limit: int, cancel: str | None, reject: str | None
) -> None:
    """List sent and received transfers, newest first."""
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
        created_at=transfer.created_at,
    )
    listed = ", ".join(map(one_line, files[:3])) + (" …" if len(files) > 3 else "")
    people = ", ".join(map(one_line, names))
    way = f"to {people}" if sent else f"from {people}"
    size = size_text(transfer.size_bytes)
    state = column(transfer.state, 10)
    context.out.say(f"{one_line(transfer.id)}  {state} {size:>9}  {way}: {listed}")


@logged_in
@click.option(
    "--days",
    type=click.IntRange(1, 366),
    default=30,
    show_default=True,
    help="Number of days to list.",
)
async def statistics(context: Context, session: Session, *, days: int) -> None:
    """Show transfer statistics: in total, by day, and by user.

    A transfer to three users counts three times.
    """
    found = await session.transfers.statistics(days=days)
    _show_sums(context, "all_time", "in all", found)
    for each in found.days:
        _show_sums(context, "day", f"on {each.day}", each, day=each.day)
    for other in found.people:
        name = await session.people.name_of(other.user_id)
        _show_sums(context, "person", f"with {name}", other, user=name, user_id=other.user_id)


def _show_sums(context: Context, of: str, label: str, both: BothWays, **which: str) -> None:
    sent, received = asdict(both.sent), asdict(both.received)
    context.out.record("statistics", of=of, **which, sent=sent, received=received)
    for way, sums in (("sent", both.sent), ("received", both.received)):
        if sums.ended or sums.size_bytes:
            context.out.say(f"{column(label, 16)}  {way:<8}  {_text(sums)}")
    if of == "all_time" and not (both.sent.ended or both.received.ended):
        context.out.say("Nothing has come to its end yet.")


def _text(sums: TransferTotals) -> str:
    parts = [f"{size_text(sums.size_bytes)} in {sums.files} files"]
    parts.append(f"{sums.completed} of {sums.ended} completed")
    if sums.mean_bytes_per_second is not None:
        best = size_text(sums.best_bytes_per_second or 0)
        parts.append(f"{size_text(sums.mean_bytes_per_second)}/s, at best {best}/s")
    return "; ".join(parts)
