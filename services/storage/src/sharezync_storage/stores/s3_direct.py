"""Uploads that clients make straight to the bucket, by signed URLs.

Always as parts of a multipart upload, one part where one is enough: once it is completed, no URL
that is still out there can change the blob, as one for a plain PUT could.
"""

from collections.abc import Sequence

from sharezync_storage.keys import checked
from sharezync_storage.problems import PartsWrong
from sharezync_storage.stores.bucket import InvalidParts
from sharezync_storage.stores.port import DirectPart, NoSuchBlob
from sharezync_storage.stores.s3_objects import Objects


async def begin(
    objects: Objects, key: str, *, size_bytes: int, part_bytes: int, content_type: str
) -> str | None:
    """Begin an upload; the id says how many parts there must be, and the server's own id."""
    if not objects.bucket.reachable_by_clients:
        return None
    upload_id = await objects.begin(checked(key), content_type=content_type)
    return f"{_count(size_bytes, part_bytes)}:{upload_id}"


async def parts(
    objects: Objects,
    key: str,
    direct_id: str,
    *,
    size_bytes: int,
    part_bytes: int,
    expires_in_seconds: int,
) -> list[DirectPart]:
    """Return a URL for each part, its length signed."""
    _, upload_id = _parsed(direct_id)
    found = []
    for index in range(_count(size_bytes, part_bytes)):
        length = min(part_bytes, size_bytes - index * part_bytes)
        url = await objects.bucket.part_link(
            checked(key),
            upload_id,
            index + 1,
            length=length,
            expires_in_seconds=expires_in_seconds,
        )
        found.append(DirectPart(index + 1, length, url, {"Content-Length": str(length)}))
    return found


async def complete(
    objects: Objects, key: str, direct_id: str, etags: Sequence[str], *, size_bytes: int
) -> None:
    """Make the parts the blob, and see that it has the size."""
    count, upload_id = _parsed(direct_id)
    if len(etags) != count:
        raise PartsWrong(f"There must be {count} parts")
    try:
        await objects.bucket.complete_parts(checked(key), upload_id, etags)
    except InvalidParts as error:
        raise PartsWrong from error
    except NoSuchBlob:
        # Completed before, perhaps: then the blob is there. Raises where it isn't.
        await objects.bucket.size(key)
    if await objects.bucket.size(key) != size_bytes:
        # Only where the server lets a part have another length than was signed.
        await objects.erase(key)
        raise PartsWrong("The parts don't have the announced length")
    await objects.drop_upload_id(key, upload_id)


async def abort(objects: Objects, key: str, direct_id: str) -> None:
    """Leave nothing of an upload, unless its blob is there."""
    _, upload_id = _parsed(direct_id)
    await objects.abort(checked(key), upload_id)


def _count(size_bytes: int, part_bytes: int) -> int:
    return max(1, -(-size_bytes // part_bytes))


def _parsed(direct_id: str) -> tuple[int, str]:
    count, _, upload_id = direct_id.partition(":")
    return int(count), upload_id
