"""All uploads of a transfer at once. The gateway never routes these.

What each costs grows with its uploads by rows alone: calls and statements are as many for one.
"""

from typing import ClassVar

from fastapi import APIRouter

from sharezync_shared.calls.serving import serve
from sharezync_shared.contracts import storage
from sharezync_shared.ids import UserId
from sharezync_shared.problems import Invalid, Problem, refusal_document
from sharezync_storage.api.bodies import SmallBodyRoute
from sharezync_storage.api.dependencies import Context
from sharezync_storage.errors import StoreFull, StoreUnavailable
from sharezync_storage.models import UploadId
from sharezync_storage.schemas.files import coming_of, created_of, finished_of, upload_of
from sharezync_storage.settings import MIB
from sharezync_storage.usecases import chunk_uploads


class _BatchRoute(SmallBodyRoute):
    """Takes what transfer makes of the largest offer, of 1 MiB."""

    max_body_bytes: ClassVar[int] = 2 * MIB


router = APIRouter(tags=["internal"], route_class=_BatchRoute)


@serve(router, storage.BEGIN_UPLOADS, StoreFull, StoreUnavailable, summary="Create chunked uploads")
async def create_chunked_uploads(
    body: storage.UploadsCreate, context: Context
) -> storage.UploadsCreated:
    """Creates an upload for each file, or none. The sizes are reserved in the owner's quota."""
    begun = await chunk_uploads.begin(
        context.work,
        context.store,
        context.limits,
        owner_id=UserId(body.owner_id),
        coming=[coming_of(file) for file in body.files],
        chunk_size_bytes=body.chunk_size_bytes,
        lifetime=context.upload_lifetime,
    )
    return storage.UploadsCreated([created_of(each) for each in begun])


@serve(router, storage.LIST_UPLOADS, Invalid, summary="List chunked uploads")
async def list_chunked_uploads(body: storage.UploadIds, context: Context) -> storage.UploadsRead:
    """Returns the recorded state of uploads, in no order. Nothing is read or hashed again."""
    found = await chunk_uploads.status_of_each(context.work, upload_ids=_ids_of(body))
    return storage.UploadsRead([upload_of(status) for status in found])


@serve(router, storage.FINISH_UPLOADS, Invalid, summary="Complete chunked uploads")
async def complete_chunked_uploads(
    body: storage.UploadIds, context: Context
) -> storage.FinishResults:
    """Checks of each upload that no chunk is missing, and the digest of the file if one was given.

    An upload that is refused does not affect the others. Uploads that take longer are completed in
    the background: their problem is `upload-finishing`, with `retry_after_seconds`. Idempotent.
    """
    results = []
    for outcome in await context.assembler.finish_each(_ids_of(body)):
        if isinstance(outcome, Problem):
            results.append(storage.FinishResult(problem=refusal_document(outcome)))
        elif isinstance(outcome, Exception):
            raise outcome
        else:
            results.append(storage.FinishResult(finished=finished_of(outcome)))
    return storage.FinishResults(results)


@serve(router, storage.ABORT_UPLOADS, Invalid, summary="Cancel chunked uploads")
async def cancel_chunked_uploads(body: storage.UploadIds, context: Context) -> None:
    """Deletes uploads, and the files of those that were completed. Idempotent."""
    await chunk_uploads.abort(context.work, upload_ids=_ids_of(body))
    context.sweeper.wake()


def _ids_of(body: storage.UploadIds) -> list[UploadId]:
    return [UploadId(each) for each in body.ids]
