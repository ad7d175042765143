"""Downloads by links: claimed before they begin, consumed by their first byte.

One statement claims, so however many come at once, no more get in than the link allows. A claim
under which not one byte was sent is given back; one that sent any is consumed, and can be gone on
with for half an hour without being counted anew. Looking never counts.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import UUID, uuid4

from sqlmodel import col, select

from sharezync_shared.db.outages import log_leftover
from sharezync_shared.work import UnitsOfWork
from sharezync_storage.errors import ClaimGone, LinkGone
from sharezync_storage.models import Claim
from sharezync_storage.settings import MIB
from sharezync_storage.usecases.links import OpenedLink

LASTS: Final = timedelta(minutes=30)
_SLACK_BYTES: Final = MIB
_BATCH: Final = 100

# Whoever locks a link and its claims locks the link first, as revoking does.
_CLAIM: Final = """
WITH taken AS (
    UPDATE storage.links l SET downloads_left = l.downloads_left - 1
    FROM storage.files f
    WHERE l.id = $1 AND l.expires_at > $2 AND (l.downloads_left IS NULL OR l.downloads_left > 0)
        AND f.id = l.file_id AND f.deleted_at IS NULL AND f.let_go_at IS NULL
    RETURNING l.id
)
INSERT INTO storage.claims (id, link_id, sent_bytes, created_at, expires_at)
SELECT $3, taken.id, 0, $2, $4 FROM taken
RETURNING id
"""
_LOCK: Final = "SELECT FROM storage.links WHERE id = $1 FOR NO KEY UPDATE"
_SENT: Final = "UPDATE storage.claims SET sent_bytes = sent_bytes + $2 WHERE id = $1 RETURNING id"
_GIVE_BACK: Final = """
WITH unused AS (
    DELETE FROM storage.claims WHERE id = $1 AND sent_bytes = 0 RETURNING link_id
)
UPDATE storage.links l SET downloads_left = least(l.downloads_left + 1, l.max_downloads)
FROM unused WHERE l.id = unused.link_id
"""
_GIVE_BACK_EXPIRED: Final = """
WITH expired AS (
    DELETE FROM storage.claims WHERE link_id = $1 AND expires_at < $2 RETURNING sent_bytes
), unused AS (
    SELECT count(*) AS downloads FROM expired WHERE sent_bytes = 0
)
UPDATE storage.links l SET
    downloads_left = least(l.downloads_left + unused.downloads, l.max_downloads)
FROM unused WHERE l.id = $1 AND unused.downloads > 0
"""


@dataclass(slots=True)
class Download:
    """One delivery under a claim."""

    work: UnitsOfWork
    link_id: UUID
    claim_id: UUID
    resumed: bool
    _counted_bytes: int = 0

    async def begin(self, size_bytes: int) -> None:
        """Consume the claim, on record before the first `size_bytes` go out.

        So what a crash cuts off is counted. Raises LinkGone where the claim is gone by now.
        """
        counted_bytes = max(size_bytes, 1)  # a file of no bytes is downloaded too
        pool = await self.work.database.pool()
        if await pool.fetchval(_SENT, self.claim_id, counted_bytes) is None:
            raise LinkGone
        self._counted_bytes = counted_bytes

    async def end(self, sent_bytes: int) -> None:
        """Record what was sent; give the claim back where that was nothing at all.

        Never raises: who was sent a file has it. What isn't given back here, the sweep gives back.
        """
        more_bytes = sent_bytes - self._counted_bytes
        try:
            if not self._counted_bytes:
                if not self.resumed:
                    await self._give_back()
            elif more_bytes > 0:
                await (await self.work.database.pool()).execute(_SENT, self.claim_id, more_bytes)
        except Exception as error:  # noqa: BLE001 - boundary: see above
            log_leftover("download_not_recorded", error, claim_id=str(self.claim_id))

    async def _give_back(self) -> None:
        async with self.work.begin() as unit:
            connection = await unit.raw()
            await connection.execute(_LOCK, self.link_id)
            await connection.execute(_GIVE_BACK, self.claim_id)


async def claim(work: UnitsOfWork, followed: OpenedLink) -> Download:
    """Take one download from a link. Raises LinkGone where there is none left to take."""
    now = work.now()
    claim_id = uuid4()  # nothing in it can be guessed: it is all that one shows to go on
    pool = await work.database.pool()
    if await pool.fetchval(_CLAIM, followed.link.id, now, claim_id, now + LASTS) is None:
        raise LinkGone
    return Download(work, followed.link.id, claim_id, resumed=False)


async def resume(work: UnitsOfWork, followed: OpenedLink, claim_id: UUID) -> Download:
    """Go on with a download, even where the link has run out meanwhile.

    At most twice the file's bytes are sent under one claim, and a little: enough for any line that
    breaks, and not for sharing it. Raises ClaimGone.
    """
    async with work.read() as unit:
        found = await unit.get(Claim, claim_id)
    if found is None or found.link_id != followed.link.id or found.expires_at <= work.now():
        raise ClaimGone
    if found.sent_bytes > 2 * followed.file.size_bytes + _SLACK_BYTES:
        raise ClaimGone("The download was used too often")
    return Download(work, followed.link.id, claim_id, resumed=True)


async def sweep(work: UnitsOfWork) -> None:
    """Forget some claims whose time has come, and give back the unused. Safe to repeat."""
    async with work.read() as unit:
        due = select(Claim.link_id).where(col(Claim.expires_at) < unit.now).distinct()
        link_ids = list(await unit.session.exec(due.limit(_BATCH)))
    for link_id in link_ids:
        async with work.begin() as unit:
            connection = await unit.raw()
            await connection.execute(_LOCK, link_id)
            await connection.execute(_GIVE_BACK_EXPIRED, link_id, unit.now)
