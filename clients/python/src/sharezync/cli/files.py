"""`upload`, `download`, `files`, `delete`, `share`, `unshare`."""

from functools import partial
from pathlib import Path
from typing import Final

import click
from msgspec.structs import asdict

from sharezync.cli.common import Context, an_id, logged_in, password_from
from sharezync.cli.output import Bars, size_text
from sharezync.cli.text import one_line, verbatim
from sharezync.client import Session
from sharezync.documents import FileLink

_HOUR_SECONDS: Final = 3600


@logged_in
@click.option("--limit", default=50, show_default=True, help="Maximum number of files.")
async def files(context: Context, session: Session, *, limit: int) -> None:
    """List your files, newest first."""
    for each in await session.downloads.files(most=limit):
        text = f"{one_line(each.id)}  {size_text(each.size_bytes):>9}  {one_line(each.name)}"
        context.out.show("file", text, **asdict(each))


@logged_in
@click.argument("file_id", metavar="ID", callback=an_id)
async def delete(context: Context, session: Session, *, file_id: str) -> None:
    """Delete your file ID. Messages and transfers that have it keep it."""
    await session.downloads.delete(file_id)
    context.out.show("deleted", f"Deleted {file_id}.", id=file_id)


@logged_in
@click.argument("file_id", metavar="ID", callback=an_id)
@click.option(
    "--hours",
    type=click.IntRange(1, 365 * 24),
    default=7 * 24,
    show_default=True,
    help="How long the link holds.",
)
@click.option("--downloads", type=click.IntRange(1, 1_000_000), help="How often it may be used.")
@click.option("--password-stdin", is_flag=True, help="Read its password from standard input.")
@click.option("--list", "listed", is_flag=True, help="List the links to the file instead.")
async def share(
    context: Context,
    session: Session,
    *,
    file_id: str,
    hours: int,
    downloads: int | None,
    password_stdin: bool,
    listed: bool,
) -> None:
    """Make a link by which anybody can download your file ID."""
    if listed:
        for each in await session.downloads.links(file_id):
            context.out.show("link", f"{one_line(each.id)}  {_limits(each)}", **asdict(each))
        return
    link = await session.downloads.share(
        file_id,
        expires_in_seconds=hours * _HOUR_SECONDS,
        password=password_from(stdin=True, confirm=False) if password_stdin else None,
        max_downloads=downloads,
    )
    url = f"{context.url}{link.path}"
    shown = one_line(url)
    context.out.show("link", f"{shown}  ({_limits(link)})", **asdict(link), url=url)
    context.out.hint(f"Anybody downloads it by: curl -OJ -X POST {shown}/content")


@logged_in
@click.argument("file_id", metavar="ID", callback=an_id)
@click.argument("link_id", metavar="LINK", callback=an_id)
async def unshare(context: Context, session: Session, *, file_id: str, link_id: str) -> None:
    """End the link LINK to your file ID; `share --list` has the ids."""
    await session.downloads.unshare(file_id, link_id)
    context.out.show("unshared", f"The link {link_id} has ended.", id=link_id, file_id=file_id)


def _limits(link: FileLink) -> str:
    parts = [f"until {one_line(link.expires_at[:16])}"]
    if link.downloads_left is not None:
        parts.append(f"{link.downloads_left} downloads left")
    if link.has_password:
        parts.append("with a password")
    return ", ".join(parts)


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
