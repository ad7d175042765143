"""`upload` and `download`."""

from functools import partial
from pathlib import Path

import click

from sharezync.cli.bars import Bars
from sharezync.cli.common import Context, an_id, logged_in
from sharezync.cli.output import size_text
from sharezync.cli.text import one_line, verbatim
from sharezync.session import Session


@logged_in
@click.argument(
    "files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
async def upload(context: Context, session: Session, *, files: tuple[Path, ...]) -> None:
    """Upload FILES to your storage. If interrupted, run the same command again to resume."""
    out = context.out
    for path in files:
        with Bars(out) as bars:
            stored = await session.uploads.upload(
                path,
                record_in=context.config.state / "uploads",
                on_progress=partial(bars.moved, path.name, {"path": str(path)}),
            )
        out.show(
            "uploaded",
            f"{one_line(stored.id)}  {one_line(stored.name)}  {size_text(stored.size_bytes)}",
            path=str(path),
            id=stored.id,
            name=stored.name,
            size_bytes=stored.size_bytes,
            sha256=stored.sha256,
        )


@logged_in
@click.argument("file_id", metavar="ID", callback=an_id)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    default=Path(),
    metavar="PATH",
    help="New file name, or a folder; default: current folder.",
)
@click.option("--replace", is_flag=True, help="Replace an existing file at PATH.")
async def download(
    context: Context, session: Session, *, file_id: str, output: Path, replace: bool
) -> None:
    """Download the file ID. If interrupted, run the same command again to resume.

    Existing files aren't replaced without --replace. In a folder, hidden and executable files are
    renamed.
    """
    out = context.out
    with Bars(out) as bars:
        path = await session.downloads.download(
            file_id,
            output,
            replace=replace,
            record_in=context.config.state / "downloads",
            on_progress=partial(bars.moved, file_id, {"id": file_id}),
        )
    text = f"Downloaded {verbatim(str(path))}"
    out.show("downloaded", text, id=file_id, path=str(path), size_bytes=path.stat().st_size)
