"""What nobody needs any more is deleted from the store: by our own records, never by a listing."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from functools import partial
from typing import Final, Literal, NamedTuple

from prometheus_client import CollectorRegistry

from sharezync_shared.background import Periodic
from sharezync_shared.db.outages import is_outage
from sharezync_shared.outage_log import OutageLog
from sharezync_shared.streams.log import Connection
from sharezync_shared.work import UnitOfWork, UnitsOfWork
from sharezync_storage.models import Deletion
from sharezync_storage.stores.port import DirectUploads, UploadStore

AGAIN: Final = timedelta(minutes=20)
"""When what was still being written while it was deleted has come to its end: see `forget`."""
_LEASE: Final = timedelta(minutes=5)
"""For how long a claimed deletion is nobody else's; after it, whoever comes tries again."""
_BATCH: Final = 20
_POLL_SECONDS: Final = 5.0
_FORGET: Final = """
INSERT INTO storage.deletions (what, store_key, direct_id, size_bytes, due_at, attempts)
SELECT g.what, g.store_key, g.direct_id, CASE WHEN due.again THEN 0 ELSE g.size_bytes END, due.at, 0
FROM (VALUES (false, $5::timestamptz), (true, $6::timestamptz)) AS due(again, at),
    unnest($1::text[], $2::text[], $3::text[], $4::bigint[]) WITH ORDINALITY
    AS g(what, store_key, direct_id, size_bytes, n)
ORDER BY due.again, g.n
"""
_CLAIM: Final = """
UPDATE storage.deletions SET due_at = $1::timestamptz + $2, attempts = attempts + 1
WHERE id IN (
    SELECT id FROM storage.deletions
    WHERE due_at <= $1 AND (SELECT pg_try_advisory_xact_lock_shared($4))
    ORDER BY due_at LIMIT $3
    FOR UPDATE SKIP LOCKED
) RETURNING *
"""
_HELD: Final = 0x73746F72616765
"""The advisory lock that whoever deletes shares, for as long as a claim takes."""
_DONE: Final = "DELETE FROM storage.deletions WHERE id = ANY($1::bigint[])"


class Unneeded(NamedTuple):
    """A key of the store that nobody needs any more; about `size_bytes` lie there.

    `what`: `blob`, `chunks`, or `direct`: an upload straight to the store, which goes before the
    blob of the same key, with the store's id of it.
    """

    what: Literal["blob", "chunks", "direct"]
    key: str
    direct_id: str | None = None
    size_bytes: int = 0


async def hold_deletions(connection: Connection) -> None:
    """Have nothing deleted from the store that was not claimed yet, as long as the session lives.

    So what a snapshot needs that is taken afterwards stays there. For backups.
    """
    await connection.execute("SELECT pg_advisory_lock($1)", _HELD)


async def forget(unit: UnitOfWork, *unneeded: Unneeded) -> None:
    """Have keys deleted from the store after the commit: now, and once more in 20 minutes.

    Twice, because a write that was under way may come to its end behind the first deletion.
    """
    if unneeded:
        connection = await unit.raw()
        columns = map(list, zip(*unneeded, strict=True))
        await connection.execute(_FORGET, *columns, unit.now, unit.now + AGAIN)


def forget_leftovers(unit: UnitOfWork, blob: str) -> None:
    """Have what interrupted writes of a blob left behind deleted, the blob itself not.

    In 20 minutes: another process may be writing the same at this moment.
    """
    unit.add(Deletion(what="leftovers", store_key=blob, due_at=unit.now + AGAIN))


class Sweeper:
    """Deletes what `deletions` holds, in the background; any number of replicas may.

    `others`, by name, are repeated beside it, each by itself: what else is to be given up when its
    time comes. What they leave to be deleted is deleted at once.
    """

    def __init__(
        self,
        work: UnitsOfWork,
        store: UploadStore,
        others: Mapping[str, Callable[[], Awaitable[None]]] | None = None,
        *,
        registry: CollectorRegistry | None = None,
    ) -> None:
        self._work = work
        self._store = store

        def repeated(act: Callable[[], Awaitable[None]], name: str) -> Periodic:
            return Periodic(
                act,
                name=f"{work.database.schema}-{name}",
                every_seconds=_POLL_SECONDS,
                is_outage=is_outage,
                registry=registry,
            )

        self._deleting = repeated(self._sweep_all, "deletions")
        self._others = [
            repeated(partial(self._do_and_delete, act), name)
            for name, act in (others or {}).items()
        ]
        self._deletions_log = OutageLog("deletion_failed")

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        async with AsyncExitStack() as stack:
            for each in (self._deleting, *self._others):
                await stack.enter_async_context(each.running())
            yield

    def wake(self) -> None:
        """Look now: there is something to delete."""
        for each in (self._deleting, *self._others):
            each.wake()

    async def sweep(self) -> int:
        """Delete one batch of what is due; return how many keys were claimed.

        A key that can't be deleted now is claimed again later. Safe to repeat and to interrupt:
        deleting is idempotent, and the record goes last.
        """
        pool = await self._work.database.pool()
        claimed = await pool.fetch(_CLAIM, self._work.now(), _LEASE, _BATCH, _HELD)
        done = [deletion["id"] for deletion in claimed if await self._deleted(**deletion)]
        if done:
            await pool.execute(_DONE, done)
        return len(claimed)

    async def _do_and_delete(self, act: Callable[[], Awaitable[None]]) -> None:
        await act()
        self._deleting.wake()

    async def _sweep_all(self) -> None:
        while await self.sweep() == _BATCH:
            pass

    async def _deleted(
        self, *, what: str, store_key: str, direct_id: str | None, attempts: int, **_: object
    ) -> bool:
        try:
            match what:
                case "chunks":
                    await self._store.discard(store_key)
                case "direct":
                    if isinstance(self._store, DirectUploads):
                        await self._store.abort_direct(store_key, direct_id or "")
                case "leftovers":
                    await self._store.tidy(store_key)
                case _:
                    await self._store.delete(store_key)
        except Exception as error:  # noqa: BLE001 - one key that can't go must not keep the others
            self._deletions_log.failed(error, key=store_key, attempts=attempts)
            return False
        return True
