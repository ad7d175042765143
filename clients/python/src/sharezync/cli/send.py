"""`send`."""

from pathlib import Path
from typing import Final

import click

from sharezync.cli.bars import Bars
from sharezync.cli.common import Context, command, over_option
from sharezync.cli.output import size_text
from sharezync.cli.text import one_line, verbatim
from sharezync.transfer.listing import list_files
from sharezync.transfer.moving import Over, Wait
from sharezync.transfer.progress import Progress

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
