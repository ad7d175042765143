"""`statistics`."""

import click

from sharezync.cli.common import Context, command
from sharezync.cli.output import size_text
from sharezync.cli.text import column
from sharezync.transfer.statistics import BothWays, TransferTotals


@click.command()
@click.option(
    "--days",
    type=click.IntRange(1, 366),
    default=30,
    show_default=True,
    help="Number of days to list.",
)
@command
async def statistics(context: Context, *, days: int) -> None:
    """Show transfer statistics: in total, by day, and by user.

    A transfer to three users counts three times.
    """
    async with context.session() as session:
        found = await session.transfers.statistics(days=days)
        _tell(context, "all_time", "in all", found.all_time)
        for day, both in found.days.items():
            _tell(context, "day", f"on {day}", both, day=day)
        for user_id, both in found.people.items():
            name = await session.people.name_of(user_id)
            _tell(context, "person", f"with {name}", both, user=name, user_id=user_id)


def _tell(context: Context, of: str, label: str, both: BothWays, **which: str) -> None:
    context.out.record(
        "statistics", of=of, **which, sent=_members(both.sent), received=_members(both.received)
    )
    for way, sums in (("sent", both.sent), ("received", both.received)):
        if sums.ended or sums.size_bytes:
            context.out.say(f"{column(label, 16)}  {way:<8}  {_text(sums)}")
    if of == "all_time" and not (both.sent.ended or both.received.ended):
        context.out.say("Nothing has come to its end yet.")


def _text(sums: TransferTotals) -> str:
    parts = [f"{size_text(sums.size_bytes)} in {sums.files} files", _outcome(sums)]
    if sums.mean_bytes_per_second is not None:
        best = size_text(sums.best_bytes_per_second or 0)
        parts.append(f"{size_text(sums.mean_bytes_per_second)}/s, at best {best}/s")
    return "; ".join(parts)


def _outcome(sums: TransferTotals) -> str:
    return f"{sums.completed} of {sums.ended} completed"


def _members(sums: TransferTotals) -> dict[str, int | float | None]:
    return {
        "ended": sums.ended,
        "completed": sums.completed,
        "files": sums.files,
        "size_bytes": sums.size_bytes,
        "success_rate": sums.success_rate,
        "mean_bytes_per_second": sums.mean_bytes_per_second,
        "best_bytes_per_second": sums.best_bytes_per_second,
    }
