"""`send`, `transfers`, `statistics`."""

from pathlib import Path
from typing import Final

import click
from msgspec.structs import asdict

from sharezync.cli.common import Context, an_id, command, logged_in, over_option
from sharezync.cli.output import Bars, size_text
from sharezync.cli.text import column, one_line, verbatim
from sharezync.client import Session
from sharezync.documents import BothWays, Transfer, TransferTotals
from sharezync.transfer.offer import list_files
from sharezync.transfer.progress import Progress
from sharezync.transfer.transfers import Over, Wait

_WAITS: Final[tuple[Wait, ...]] = ("nobody", "receiving", "all")


@command
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option(
    "--to",
    "to",
    multiple=True,
    required=True,
    metavar="USER[/DEVICE]",
    help="Recipient; can be repeated.",
)
@click.option("--note", default="", metavar="TEXT", help="Message to the recipients.")
@click.option(
    "--wait",
    type=click.Choice(_WAITS),
    default="receiving",
    show_default=True,
    help="When to exit: once everything is stored (nobody); once active recipients have finished "
    "as well (receiving); or once all recipients have answered and finished (all).",
)
@over_option
async def send(
    context: Context,
    *,
    files: tuple[Path, ...],
    to: tuple[str, ...],
    note: str,
    wait: Wait,
    over: Over,
) -> None:
    """Send FILES and folders to users or to one of their devices.

    Recipients don't need to be online. If interrupted, run the same command again to resume.
    """
    out = context.out
    for path in list_files(files).left_out:
        out.hint(f"Left out, as it is a link or no file: {verbatim(str(path))}")
    async with context.client() as client:
        session = client.session()
        addresses = [await session.transfers.address(each) for each in to]
        names = {each.user_id: await session.people.name_of(each.user_id) for each in addresses}
        begun = False
        with Bars(out) as bars:

            def show(progress: Progress) -> None:
                nonlocal begun
                if not begun:
                    _show_offer(context, progress)
                begun = True
                bars.sent(progress, names)

            progress = await session.transfers.send(
                files,
                to=addresses,
                device=context.config.client_id,
                note=note,
                record_in=context.config.state / "sends",
                wait=wait,
                over=over,
                on_progress=show,
            )
            bars.sent(progress, names, last=True)
    out.show(
        "sent",
        f"Sent {size_text(progress.size_bytes)}: everything is stored and verified.",
        transfer_id=progress.transfer.id,
        state=progress.transfer.state,
        size_bytes=progress.size_bytes,
        moved_bytes=progress.moved_bytes,
        resumed=progress.resumed,
    )
    for user_id, name in names.items():
        shown = one_line(name)
        state, _ = progress.recipients.get(user_id, ("", 0))
        out.say(f"  {shown} has it." if state == "completed" else f"  It waits for {shown}.")


def _show_offer(context: Context, progress: Progress) -> None:
    transfer = progress.transfer
    context.out.record(
        "offered",
        transfer_id=transfer.id,
        resumed=progress.resumed,
        size_bytes=transfer.size_bytes,
        stored_bytes=progress.stored_bytes,
        files=[{"name": file.path, "size_bytes": file.size_bytes} for file in transfer.files],
    )
    if progress.resumed:
        stored, size = size_text(progress.stored_bytes), size_text(progress.size_bytes)
        context.out.hint(f"Going on: {stored} of {size} are stored already.")


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
