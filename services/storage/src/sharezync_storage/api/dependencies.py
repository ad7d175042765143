"""What routes are given: the parts of storage, and the file that somebody may read."""

from typing import Annotated

from fastapi import Depends, Query, Request

from sharezync_shared.names.policies import Parsed
from sharezync_shared.tokens.dependencies import bearer_token
from sharezync_storage.errors import SignatureInvalid
from sharezync_storage.models import File, FileId
from sharezync_storage.signatures import url_asked_for
from sharezync_storage.usecases import files
from sharezync_storage.usecases.context import StorageContext


async def _context(request: Request) -> StorageContext:
    context: StorageContext = request.app.state.context
    return context


Context = Annotated[StorageContext, Depends(_context)]


async def _readable_file(
    request: Request,
    file_id: FileId,
    context: Context,
    expires: Annotated[
        int | None,
        Query(ge=0, le=2**40, description="From a signed URL: expiry in seconds since 1970"),
    ] = None,
    signature: Annotated[
        Parsed | None, Query(max_length=100, description="From a signed URL")
    ] = None,
) -> File:
    """Let in who may read it, by token, and whoever holds a URL that we signed."""
    if signature is None and expires is None:
        caller = await request.app.state.verifier.verify(bearer_token(request.scope["headers"]))
        return await files.get_readable(
            context.work, context.auth, user_id=caller.user_id, file_id=file_id
        )
    if signature is None or expires is None:
        raise SignatureInvalid
    asked = url_asked_for(request.scope)
    context.signer.check(file_id, expires, asked, now=context.work.now().timestamp())
    return await files.get_vouched_for(context.work, file_id=file_id)


ReadableFile = Annotated[File, Depends(_readable_file)]
"""A file whose content the caller may read."""
