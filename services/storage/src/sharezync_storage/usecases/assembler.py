"""An upload becomes a file: complete, verified, assembled, announced."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from typing import Final, NamedTuple
from uuid import UUID

import structlog

from sharezync_shared.contracts.storage import (
    DigestMismatch,
    UploadClosed,
    UploadFinishing,
    UploadIncomplete,
)
from sharezync_shared.db.outages import log_leftover
from sharezync_shared.problems import NotFound
from sharezync_shared.work import UnitOfWork, UnitsOfWork
from sharezync_storage import access
from sharezync_storage.keys import file_key
from sharezync_storage.models import Segment, Upload, UploadId
from sharezync_storage.states import TAKES_BYTES, advance, after
from sharezync_storage.stores.pieces import in_order
from sharezync_storage.stores.port import UploadStore
from sharezync_storage.usecases import files
from sharezync_storage.usecases.assembling import Known, UploadParts, assemble, parts_of
from sharezync_storage.usecases.sweeping import Unneeded, forget, forget_leftovers
from sharezync_storage.usecases.uploads import give_up, plan_of, stored_chunks

log = structlog.get_logger()

_PATIENCE_SECONDS: Final = 8.0
"""How long one request waits for the end: less than the 10 s that our clients wait for us."""
_LEASE: Final = timedelta(seconds=30)
"""How long the sweep of any replica leaves an upload alone that somebody is finishing."""
_RENEW_SECONDS: Final = 10.0
_STRANDED_AT_ONCE: Final = 4
_STRANDED: Final = """
UPDATE storage.uploads SET leased_until = clock_timestamp() + $1::interval
WHERE id IN (
    SELECT id FROM storage.uploads
    WHERE state = 'verifying' AND coalesce(leased_until <= clock_timestamp(), true)
    ORDER BY leased_until NULLS FIRST LIMIT $2 FOR UPDATE SKIP LOCKED
) RETURNING id
"""
_RENEW: Final = """
UPDATE storage.uploads SET leased_until = clock_timestamp() + $2::interval
WHERE id = ANY($1::uuid[]) AND state = 'verifying'
"""
_TOGETHER: Final = 250
"""Uploads that one transaction makes files of: others need their owner's row, too."""
_ASSEMBLED_AT_ONCE: Final = 8
"""Of those that are finished together: what is assembled may have to be read and hashed."""


Outcome = Upload | Exception
"""What came of finishing an upload: its row as it is then; with an exception, nothing has."""

_End = asyncio.Future[Upload]
Step = Callable[[], Awaitable[None]]


class Assembler:
    """Makes files of uploads, each by one task however many ask; the work outlives who asked.

    Those that are finished together share their transactions.
    """

    def __init__(self, work: UnitsOfWork, store: UploadStore) -> None:
        self._work = work
        self._store = store
        self._patience_seconds = _PATIENCE_SECONDS
        self._ends: dict[UUID, _End] = {}
        """Of the uploads that are being finished."""
        self._tasks: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Finish uploads while the block runs; what is under way at its end is cancelled.

        Who asked for it asks again, or the sweep finds it, and it goes on where it was.
        """
        try:
            yield
        finally:
            tasks = list(self._tasks)
            for task in tasks:
                task.cancel()
            if tasks:
                await asyncio.wait(tasks)

    async def finish(self, upload_id: UploadId, first: Step | None = None) -> Upload:
        """Verify an upload and make it a file, and publish that. Idempotent.

        `first` is done before, in the same task. Raises what it raises, UploadIncomplete (send what
        is missing), DigestMismatch and UploadClosed (final), and UploadFinishing where the work
        takes longer than an answer may: ask again.
        """
        (outcome,) = await self.finish_each([upload_id], first)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    async def finish_each(
        self, upload_ids: Sequence[UploadId], first: Step | None = None
    ) -> list[Outcome]:
        """Do the same for several uploads, at least one; what is refused of one is its own."""
        ends = self.start(*upload_ids, first=first)
        await asyncio.wait(ends, timeout=self._patience_seconds)
        return [_outcome(end) for end in ends]

    async def try_to_finish(self, upload_id: UploadId) -> None:
        """Wait for the end as long as one request may, and say nothing where it doesn't come.

        For uploads that are durable, whole and closed: what can't be finished now the sweep will.
        """
        try:
            await self.finish(upload_id)
        except UploadFinishing:
            pass
        except Exception as error:  # noqa: BLE001 - it costs nobody who asked anything
            log_leftover("upload_not_finished", error, upload_id=str(upload_id))

    def start(self, *upload_ids: UploadId, first: Step | None = None) -> list[_End]:
        """Begin to finish uploads, as far as that hasn't been begun; see `finish`."""
        fresh = [each for each in dict.fromkeys(upload_ids) if each not in self._ends]
        if fresh:
            loop = asyncio.get_running_loop()
            self._ends |= {upload_id: loop.create_future() for upload_id in fresh}
            task = asyncio.create_task(self._finish(fresh, first), name=f"finish-{fresh[0]}")
            self._tasks.add(task)
            task.add_done_callback(lambda done: self._over(fresh, done))
        return [self._ends[upload_id] for upload_id in upload_ids]

    async def finish_stranded(self) -> None:
        """Begin to finish some uploads that nobody works on: whoever did has crashed or failed.

        For the sweep, of any number of replicas: each takes others. One that fails is tried again
        half a minute later, until it expires.
        """
        pool = await self._work.database.pool()
        for (upload_id,) in await pool.fetch(_STRANDED, _LEASE, _STRANDED_AT_ONCE):
            self.start(upload_id)

    def _over(self, upload_ids: Sequence[UploadId], task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        for upload_id in upload_ids:
            if upload_id in self._ends:
                if isinstance(error, Exception):
                    self._settle(upload_id, error)
                else:
                    self._ends.pop(upload_id).cancel()

    def _settle(self, upload_id: UUID, outcome: Outcome) -> None:
        end = self._ends.pop(upload_id)
        if isinstance(outcome, Exception):
            end.set_exception(outcome)
            end.exception()  # perhaps nobody waits any more
            log.debug("upload_not_finished", upload_id=str(upload_id), error=repr(outcome))
        else:
            end.set_result(outcome)

    # ----------------------------------------------------------------------------------------

    async def _finish(self, upload_ids: Sequence[UploadId], first: Step | None) -> None:
        if first is not None:
            await first()
        for start in range(0, len(upload_ids), _TOGETHER):
            await self._finish_together(upload_ids[start : start + _TOGETHER])

    async def _finish_together(self, upload_ids: Sequence[UploadId]) -> None:
        """No call to the store inside a transaction: the state `verifying` holds its place."""
        claims, outcomes = await self._claim(upload_ids)
        for upload_id, outcome in outcomes.items():
            self._settle(upload_id, outcome)
        if not claims:
            return
        keeper = asyncio.create_task(self._keep_leases(list(claims)))
        try:
            calls = (partial(self._assemble, claim) for claim in claims.values())
            assembled = dict(zip(claims, await in_order(calls, _ASSEMBLED_AT_ONCE), strict=True))
        finally:
            keeper.cancel()
        for upload_id, outcome in (await self._stand(claims, assembled)).items():
            self._settle(upload_id, outcome)

    async def _assemble(self, claim: "_Claim") -> Known | Exception:
        try:
            return await assemble(self._store, claim.upload, claim.parts)
        except Exception as error:  # noqa: BLE001 - raised to who asked for this upload
            return error

    async def _claim(
        self, upload_ids: Sequence[UploadId]
    ) -> tuple[dict[UUID, "_Claim"], dict[UUID, Outcome]]:
        """Close those uploads that are complete; return them, and what came of the others."""
        async with self._work.begin() as unit:
            found = await _uploads(unit, upload_ids)
            outcomes: dict[UUID, Outcome] = {
                upload_id: NotFound() for upload_id in upload_ids if upload_id not in found
            }
            lacking = await _incomplete(
                unit, [upload for upload in found.values() if upload.state in TAKES_BYTES]
            )
            claimed: list[tuple[Upload, bool]] = []
            for upload in found.values():
                if upload.state == "finished":
                    outcomes[upload.id] = upload
                elif upload.state == "failed":
                    expected = (upload.sha256 or b"").hex()
                    outcomes[upload.id] = DigestMismatch(expected_sha256=expected)
                elif upload.id in lacking:
                    outcomes[upload.id] = lacking[upload.id]
                elif after(upload.state, "verify") is None:
                    outcomes[upload.id] = UploadClosed(state=upload.state)
                else:
                    advance(upload, "verify")
                    claimed.append((upload, upload.leased_until is not None))
                    upload.leased_until = unit.now + _LEASE
            parts = await parts_of(unit, [upload for upload, _ in claimed])
        claims = {
            upload.id: _Claim(upload, parts[upload.id], repeated) for upload, repeated in claimed
        }
        return claims, outcomes

    async def _stand(
        self, claims: Mapping[UUID, "_Claim"], assembled: Mapping[UUID, Known | Exception]
    ) -> dict[UUID, Outcome]:
        """Make the files of what is assembled, and give up what is not what was said."""
        outcomes: dict[UUID, Outcome] = {}
        async with self._work.begin() as unit:
            found = await _uploads(unit, list(claims))
            standing: list[Upload] = []
            failing: list[Upload] = []
            for upload_id, became in assembled.items():
                upload = found.get(upload_id)
                if isinstance(became, Exception):
                    outcomes[upload_id] = became
                    if isinstance(became, DigestMismatch) and upload is not None:
                        failing += [upload] if upload.state == "verifying" else []
                elif upload is None:
                    outcomes[upload_id] = NotFound()
                elif upload.state == "finished":  # another replica was faster
                    outcomes[upload_id] = upload
                elif upload.size_bytes is None or after(upload.state, "finish") is None:
                    outcomes[upload_id] = UploadClosed(state=upload.state)  # it was given up
                else:
                    upload.sha256, upload.root = became
                    standing.append(upload)
                    if claims[upload_id].repeated:
                        forget_leftovers(unit, file_key(upload_id))
            await _stand(unit, standing)
            await give_up(unit, *failing, act="fail")
        return outcomes | {upload.id: upload for upload in standing}

    async def _keep_leases(self, upload_ids: Collection[UUID]) -> None:
        """Keep the sweeps of other replicas away while the work goes on."""
        while True:
            await asyncio.sleep(_RENEW_SECONDS)
            try:
                pool = await self._work.database.pool()
                await pool.execute(_RENEW, upload_ids, _LEASE)
            except Exception as error:  # noqa: BLE001 - at worst, somebody does the same work too
                log_leftover("leases_not_renewed", error, uploads=len(upload_ids))


class _Claim(NamedTuple):
    """An upload that is being finished.

    `repeated`: somebody has begun that before, and may have left something behind.
    """

    upload: Upload
    parts: UploadParts
    repeated: bool


def _outcome(end: _End) -> Outcome:
    if not end.done():
        return UploadFinishing(retry_after_seconds=1)
    if end.cancelled():
        return UploadFinishing("The server is shutting down", retry_after_seconds=1)
    error = end.exception()
    return error if isinstance(error, Exception) else end.result()


async def _uploads(unit: UnitOfWork, upload_ids: Collection[UUID]) -> dict[UUID, Upload]:
    found = await access.held(unit, Upload, upload_ids)
    return {upload.id: upload for upload in found if upload.source != "form"}


async def _stand(unit: UnitOfWork, uploads: Sequence[Upload]) -> None:
    """Make the files of uploads that are assembled."""
    if not uploads:
        return
    await access.delete_among(unit, Segment.upload_id, [upload.id for upload in uploads])
    ours = (upload for upload in uploads if upload.direct_id is None)
    await forget(unit, *(Unneeded("chunks", upload.store_key) for upload in ours))
    await files.stand(unit, *uploads)


async def _incomplete(unit: UnitOfWork, uploads: Sequence[Upload]) -> dict[UUID, UploadIncomplete]:
    lacking: dict[UUID, UploadIncomplete] = {}
    short: list[Upload] = []
    for upload in uploads:
        if not access.in_chunks(upload):
            lacking[upload.id] = UploadIncomplete()  # what comes from start to end closes itself
        elif upload.through < plan_of(upload).count:
            short.append(upload)
    stored = await stored_chunks(unit, short)
    for upload in short:
        missing = stored[upload.id].gaps(plan_of(upload).count)
        lacking[upload.id] = UploadIncomplete(missing=missing.pairs())
    return lacking
