"""The sender has sent everything: storage confirms each file, and who has it all is through."""

import asyncio
from collections.abc import Sequence
from typing import Final

from sharezync_shared.contracts import storage
from sharezync_shared.contracts.services import Services
from sharezync_shared.contracts.storage import UploadClosed, UploadFinished, UploadFinishing
from sharezync_shared.problems import Conflict, Forbidden, NotFound, Problem, Unavailable
from sharezync_shared.streams.published import Published
from sharezync_shared.work import UnitsOfWork
from sharezync_transfer import access, states
from sharezync_transfer.access import Actor, TransferAggregate
from sharezync_transfer.errors import DigestMismatch, TransferOver, UploadIncomplete
from sharezync_transfer.models import TransferFile, TransferId
from sharezync_transfer.schemas import TransferRead
from sharezync_transfer.usecases.context import TransferServiceContext
from sharezync_transfer.usecases.transitions import (
    has_begun,
    move,
    progressed,
    publish_change,
    seen_by,
)

PATIENCE_SECONDS: Final = 25.0
"""How long one call waits for storage to verify: less than the 30 s that the gateway waits."""


async def complete(
    context: TransferServiceContext, actor: Actor, transfer_id: TransferId
) -> Published[TransferRead]:
    """Have every file confirmed; recipients who have all they accepted complete then. Repeatable.

    Raises NotFound, Forbidden, UploadIncomplete (send what is missing), DigestMismatch (final: the
    transfer has failed), TransferOver, and Unavailable where storage needs more time: ask again.
    """
    async with context.work.read() as unit:
        whole = await access.transfer_to_see(unit, actor, transfer_id)
        if whole.role_of(actor) != "sender":
            raise Forbidden("Only the sender can do this")
        if whole.transfer.confirmed_at is not None:
            return seen_by(whole, actor)
        _check_open(whole)
        unconfirmed = [file for file in whole.files if file.root is None]
    # No transaction is open: hashing gigabytes takes its time.
    outcomes = await _finish(context.services, unconfirmed)
    return await _conclude(context.work, actor, transfer_id, outcomes)


def _check_open(whole: TransferAggregate) -> None:
    state = whole.transfer.state
    if state in states.FINAL:
        raise TransferOver(f"The transfer is {state}", state=state)


async def _finish(
    services: Services, files: Sequence[TransferFile]
) -> list[tuple[TransferFile, UploadFinished | Problem]]:
    """Have storage finish these files, those again that it is still at, as long as we may wait."""
    deadline = asyncio.get_running_loop().time() + PATIENCE_SECONDS
    outcomes: dict[int, UploadFinished | Problem] = {}
    asked = list(files)
    while asked:
        found = await services.storage.finish_uploads([file.upload_id for file in asked])
        outcomes |= {file.index: outcome for file, outcome in zip(asked, found, strict=True)}
        waits = [each.retry_after_seconds for each in found if isinstance(each, UploadFinishing)]
        if not waits:
            break
        if asyncio.get_running_loop().time() + max(waits) > deadline:
            break
        await asyncio.sleep(max(waits))
        asked = [file for file in asked if isinstance(outcomes[file.index], UploadFinishing)]
    return [(file, outcomes[file.index]) for file in files]


async def _conclude(
    work: UnitsOfWork,
    actor: Actor,
    transfer_id: TransferId,
    outcomes: Sequence[tuple[TransferFile, UploadFinished | Problem]],
) -> Published[TransferRead]:
    differing = [
        file.index for file, outcome in outcomes if isinstance(outcome, storage.DigestMismatch)
    ]
    async with work.begin() as unit:
        whole = await access.transfer_to_change(unit, actor, transfer_id)
        if whole.transfer.confirmed_at is not None:  # another request was faster
            return seen_by(whole, actor)
        _check_open(whole)
        finished = [(each, to) for each, to in outcomes if isinstance(to, UploadFinished)]
        if differing:
            open_ones = [each for each in whole.recipients if each.state not in states.FINAL]
            await publish_change(unit, whole, [e for e in open_ones if move(unit, e, "fail")])
        elif len(finished) == len(outcomes):
            # All or none: a file that was confirmed alone would be news without an event.
            for file, outcome in finished:
                confirmed = whole.files[file.index]
                confirmed.root = bytes.fromhex(outcome.root)
                confirmed.file_id = outcome.file_id
                confirmed.stored_bytes = confirmed.size_bytes
            whole.transfer.confirmed_at = unit.now
            changed = [
                each
                for each in whole.recipients
                if each.state in states.DELIVERING | {"paused"}
                and has_begun(each)
                and move(unit, each, progressed(whole.transfer, each))
            ]
            return seen_by(whole, actor, await publish_change(unit, whole, changed, everyone=True))
    if differing:
        raise DigestMismatch(file=differing[0])
    raise _why_not(outcomes)


def _why_not(outcomes: Sequence[tuple[TransferFile, UploadFinished | Problem]]) -> Exception:
    """Return the most useful of the reasons for which not every file was confirmed."""
    lacking = [
        {"index": file.index, "missing": outcome.extras.get("missing", [])}
        for file, outcome in outcomes
        if isinstance(outcome, storage.UploadIncomplete)
    ]
    if lacking:
        return UploadIncomplete(files=lacking)
    failures = [outcome for _, outcome in outcomes if isinstance(outcome, Problem)]
    if any(isinstance(failure, UploadFinishing) for failure in failures):
        return Unavailable("The files are still being verified: ask again", retry_after_seconds=1)
    gone = [failure for failure in failures if isinstance(failure, NotFound | UploadClosed)]
    if gone:
        # Storage gave the upload up: nothing came for a week, or its owner's quota was withdrawn.
        return Conflict("The uploaded chunks were deleted: start a new transfer")
    return failures[0] if failures else Unavailable("Not every file could be verified")
