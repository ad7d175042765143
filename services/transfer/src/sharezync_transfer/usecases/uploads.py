"""Uploads at storage, one for each file of a transfer. Never inside a transaction."""

from collections.abc import Sequence
from uuid import UUID

from sharezync_shared.contracts import storage
from sharezync_shared.contracts.storage import FileComing, StorageClient
from sharezync_shared.ids import UserId
from sharezync_shared.problems import Invalid
from sharezync_transfer.errors import QuotaExceeded, TooManyFiles, TransferTooLarge


async def open_uploads(
    client: StorageClient, owner_id: UserId, files: Sequence[FileComing], chunk_size_bytes: int
) -> list[UUID]:
    """As `StorageClient.begin_uploads`, with the refusals that clients of transfer know.

    Raises QuotaExceeded, TooManyFiles, TransferTooLarge, Invalid and ServiceUnavailable.
    """
    try:
        return await client.begin_uploads(owner_id, files, chunk_size_bytes)
    except storage.QuotaExceeded as refusal:
        raise QuotaExceeded(refusal.detail) from refusal
    except (storage.TooManyUploads, storage.TooManyFiles) as refusal:
        raise TooManyFiles(refusal.detail) from refusal
    except storage.FileTooLarge as refusal:
        limit_bytes = refusal.extras.get("limit_bytes")
        raise TransferTooLarge(refusal.detail, limit_bytes=limit_bytes) from refusal
    except Invalid as refusal:
        raise Invalid(refusal.detail) from refusal
