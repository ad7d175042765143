"""Links by which strangers download a file, and signed URLs of its content.

Signed URLs hold for minutes. They lead straight to the store where clients can reach it, else to
us; they can't be taken back, short of deleting the file. A link ends when its time has come, when
it was downloaded as often as it may be, when it is revoked, and with its file. How downloads are
counted: `claims.py`.
"""

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

import structlog
from sqlalchemy import func
from sqlmodel import col, select

from sharezync_shared.addresses import bucket_of
from sharezync_shared.asgi.content_wanted import content_disposition, content_type
from sharezync_shared.contracts.storage import SignedUrl
from sharezync_shared.ids import UserId, uuid7
from sharezync_shared.media_types import INLINE
from sharezync_shared.problems import Unavailable
from sharezync_shared.work import UnitOfWork, UnitsOfWork
from sharezync_storage import access
from sharezync_storage.errors import LinkGone, LinkLocked, LinkPassword, TooManyLinks
from sharezync_storage.models import File, FileId, Link, LinkId
from sharezync_storage.settings import StorageSettings
from sharezync_storage.stores.port import DirectUploads
from sharezync_storage.usecases import files, quota
from sharezync_storage.usecases.context import StorageContext

_TOKEN_BYTES: Final = 24
_TOMBSTONE: Final = timedelta(days=1)
"""How long a link that has run out is answered as gone, before it is not found."""
_BATCH: Final = 500
FREE_FAILURES: Final = 10
"""In a row. After that one waits: a second, then twice as long each time, at most 15 minutes."""

# Forgotten when nothing was tried for an hour after a wait.
_COUNT: Final = """
UPDATE storage.links SET
    failures = CASE WHEN locked_until < $2 - interval '1 hour' THEN 1 ELSE failures + 1 END,
    locked_until = CASE
        WHEN locked_until < $2 - interval '1 hour' THEN NULL
        WHEN failures + 1 >= $3
            THEN $2 + least(power(2, least(failures + 1 - $3, 20)), 900) * interval '1 second'
    END
WHERE id = $1 AND (locked_until IS NULL OR locked_until <= $2)
RETURNING id
"""
_UNCOUNT: Final = """
UPDATE storage.links SET failures = greatest(failures - 1, 0), locked_until = NULL WHERE id = $1
"""
_FORGIVE: Final = "UPDATE storage.links SET failures = 0, locked_until = NULL WHERE id = $1"
_FORGET: Final = """
DELETE FROM storage.links WHERE id IN (
    SELECT l.id FROM storage.links l JOIN storage.files f ON f.id = l.file_id
    WHERE l.expires_at < $1 OR f.deleted_at IS NOT NULL OR f.let_go_at IS NOT NULL LIMIT $2
)
"""
_WAIT: Final = "SELECT locked_until FROM storage.links WHERE id = $1"

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class OpenedLink:
    """A link that holds, and the file behind it."""

    link: Link
    file: File


async def create(
    context: StorageContext,
    *,
    owner_id: UserId,
    file_id: FileId,
    expires_in_seconds: int,
    password: str | None,
    max_downloads: int | None,
) -> tuple[Link, str]:
    """Make a link to a user's own file; return it and its token, which nobody is shown again.

    Raises NotFound and TooManyLinks.
    """
    password_hash = None
    if password is not None:
        password_hash = await context.passwords.hash(password, caller=f"user:{owner_id}")
    token = secrets.token_urlsafe(_TOKEN_BYTES)
    async with context.work.begin() as unit:
        await access.own_file(unit, owner_id, file_id, lock=True)
        await _check_room(unit, context.settings, owner_id, file_id)
        link = Link(
            id=uuid7(),
            file_id=file_id,
            owner_id=owner_id,
            token_digest=_digest(token),
            password_hash=password_hash,
            expires_at=unit.now + timedelta(seconds=expires_in_seconds),
            max_downloads=max_downloads,
            downloads_left=max_downloads,
            created_at=unit.now,
        )
        unit.add(link)
    return link, token


async def _check_room(
    unit: UnitOfWork, settings: StorageSettings, owner_id: UserId, file_id: FileId
) -> None:
    """Raise TooManyLinks for a file or a user with enough. The file is held, before the user's row:
    links are counted one after the other.
    """
    await quota.hold(unit, owner_id)
    bounds = {
        "file": (col(Link.file_id) == file_id, settings.max_links_per_file),
        "user": (col(Link.owner_id) == owner_id, settings.max_links_per_user),
    }
    for of, (whose, limit) in bounds.items():
        counted = select(func.count()).select_from(Link).where(whose)
        if (await unit.session.exec(counted)).one() >= limit:
            raise TooManyLinks(of=of, limit=limit)


async def page(
    work: UnitsOfWork, *, owner_id: UserId, file_id: FileId, after: LinkId | None, limit: int
) -> Sequence[Link]:
    """List the links to a user's own file, newest first; those too that ran out a moment ago."""
    statement = select(Link).where(Link.file_id == file_id)
    if after is not None:
        statement = statement.where(col(Link.id) < after)
    async with work.read() as unit:
        await access.own_file(unit, owner_id, file_id)
        found = await unit.session.exec(statement.order_by(col(Link.id).desc()).limit(limit))
        return found.all()


async def revoke(work: UnitsOfWork, *, owner_id: UserId, file_id: FileId, link_id: LinkId) -> None:
    """End a link at once; what is being downloaded comes to its end. Raises NotFound."""
    async with work.begin() as unit:
        await unit.session.delete(await access.own_link(unit, owner_id, file_id, link_id))


async def follow(work: UnitsOfWork, token: str) -> OpenedLink:
    """Return what is behind a link, for whoever has its token. Never counts.

    It may be used up. Raises NotFound, and LinkGone where its file is gone.
    """
    async with work.read() as unit:
        link, file = await access.link_followed(unit, _digest(token))
    if file.deleted_at is not None or file.let_go_at is not None:
        raise LinkGone("The file was deleted")
    return OpenedLink(link, file)


async def look(work: UnitsOfWork, token: str) -> OpenedLink:
    """As `follow`, for who wants to download anew. Raises LinkGone for one that has run out too."""
    followed = await follow(work, token)
    check_valid(followed.link, work.now())
    return followed


def check_valid(link: Link, now: datetime) -> None:
    """Raise LinkGone for a link that has run out. A claim alone decides who is the last."""
    if link.expires_at <= now:
        raise LinkGone("The link has expired")
    if link.downloads_left == 0:
        raise LinkGone("The downloads of the link are used up")


async def sweep(work: UnitsOfWork) -> None:
    """Forget some links that ran out a day ago, and some whose files are gone. Safe to repeat."""
    pool = await work.database.pool()
    await pool.execute(_FORGET, work.now() - _TOMBSTONE, _BATCH)


async def check_password(
    context: StorageContext, link: Link, password: str | None, *, address: str
) -> None:
    """Return where the password is right, or the link asks for none.

    A hundred guesses at once are a hundred failures, however many processes they come to: each is
    counted by one statement before it is looked at, and a right one takes all of them back.

    Raises LinkPassword; LinkLocked, without having looked, after too many that were wrong; and
    Unavailable where too many are being looked at, of this network address or at all.
    """
    if link.password_hash is None:
        return
    if password is None:
        raise LinkPassword
    await _count(context, link.id)
    try:
        right = await context.passwords.verify(
            password, link.password_hash, caller=bucket_of(address)
        )
    except Unavailable:
        await _run(context, _UNCOUNT, link.id)
        raise
    if not right:
        raise LinkPassword("Wrong password")
    await _run(context, _FORGIVE, link.id)


async def _count(context: StorageContext, link_id: UUID) -> None:
    now = context.work.now()
    pool = await context.work.database.pool()
    if await pool.fetchval(_COUNT, link_id, now, FREE_FAILURES) is not None:
        return
    until: datetime | None = await pool.fetchval(_WAIT, link_id)
    seconds = 1 if until is None else max(1, -(-(until - now).total_seconds() // 1))
    raise LinkLocked(headers={"Retry-After": f"{seconds:.0f}"})


async def _run(context: StorageContext, statement: str, link_id: UUID) -> None:
    await (await context.work.database.pool()).execute(statement, link_id)


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


async def make_url(
    context: StorageContext, *, file_id: FileId, user_id: UserId, expires_in_seconds: int
) -> SignedUrl:
    """Make one for the user, if they may read the file themselves. Raises NotFound."""
    file = await files.get_readable(context.work, context.auth, user_id=user_id, file_id=file_id)
    return await _sign(context, file, user_id, expires_in_seconds)


async def make_url_vouched_for(
    context: StorageContext, *, file_id: FileId, user_id: UserId, expires_in_seconds: int
) -> SignedUrl:
    """Make one for a user for whom the caller vouches. Raises NotFound."""
    file = await files.get_vouched_for(context.work, file_id=file_id)
    return await _sign(context, file, user_id, expires_in_seconds)


async def _sign(
    context: StorageContext, file: File, user_id: UserId, expires_in_seconds: int
) -> SignedUrl:
    expires = int(context.work.now().timestamp()) + expires_in_seconds
    store, url = context.store, None
    if isinstance(store, DirectUploads) and store.reachable_by_clients:
        url = await store.link(
            file.store_key,
            expires_in_seconds=expires_in_seconds,
            content_type=content_type(file.mime),
            disposition=content_disposition(file.name, in_place=file.mime in INLINE),
        )
    log.info("url_created", file_id=str(file.id), user_id=str(user_id), direct=url is not None)
    return SignedUrl(
        url or context.signer.path(file.id, expires), datetime.fromtimestamp(expires, UTC)
    )
