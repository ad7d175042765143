"""Passwords that strangers try at a link: counted before they are looked at.

A hundred guesses at once are a hundred failures, however many processes they come to: each is
counted by one statement, alone among all at its link. A right one takes all of them back.
"""

from datetime import datetime
from typing import Final
from uuid import UUID

from sharezync_shared.db.work import UnitsOfWork
from sharezync_shared.problems import Unavailable
from sharezync_storage.models import Link
from sharezync_storage.passwords import LinkPasswords
from sharezync_storage.problems import LinkLocked, LinkPassword

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
_WAIT: Final = "SELECT locked_until FROM storage.links WHERE id = $1"


class LinkPasswordCheck:
    """Checks the passwords of links."""

    def __init__(self, work: UnitsOfWork, passwords: LinkPasswords) -> None:
        self._work = work
        self._passwords = passwords

    async def check(self, link: Link, password: str | None) -> None:
        """Return where the password is right, or the link asks for none.

        Raises LinkPassword; LinkLocked, without having looked, after too many that were wrong; and
        Unavailable where too many are being looked at.
        """
        if link.password_hash is None:
            return
        if password is None:
            raise LinkPassword
        await self._count(link.id)
        try:
            right = await self._passwords.verify(password, link.password_hash)
        except Unavailable:
            await self._run(_UNCOUNT, link.id)
            raise
        if not right:
            raise LinkPassword("Wrong password")
        await self._run(_FORGIVE, link.id)

    async def _count(self, link_id: UUID) -> None:
        now = self._work.now()
        pool = await self._work.database.pool()
        if await pool.fetchval(_COUNT, link_id, now, FREE_FAILURES) is not None:
            return
        until: datetime | None = await pool.fetchval(_WAIT, link_id)
        seconds = 1 if until is None else max(1, -(-(until - now).total_seconds() // 1))
        raise LinkLocked(headers={"Retry-After": f"{seconds:.0f}"})

    async def _run(self, statement: str, link_id: UUID) -> None:
        await (await self._work.database.pool()).execute(statement, link_id)
