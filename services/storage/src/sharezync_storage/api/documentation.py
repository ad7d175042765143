"""What the API's pages say of tags, and of fields that mean the same wherever they occur."""

from typing import Final

TAGS: Final = {
    "files": "Files, downloads, links to files and the storage quota.",
    "uploads": "Resumable uploads (tus 1.0.0) and uploads by presigned URLs.",
}

FIELDS: Final = {
    "id": "Unique id",
    "file_id": "Id of the file",
    "link_id": "Id of the link",
    "upload_id": "Id of the upload",
    "user_id": "Id of the user",
    "owner_id": "Id of the owner",
    "name": "Name of the file",
    "size_bytes": "Size in bytes",
    "stored_bytes": "Number of stored bytes",
    "mime": "Media type",
    "sha256": "SHA-256 of the file, hexadecimal",
    "root": "SHA-256 over the digests of the chunks in order, hexadecimal",
    "chunk_size_bytes": "Size of each chunk but the last, in bytes",
    "chunk_count": "Number of chunks",
    "state": "State of the upload",
    "created_at": "When it was created",
    "expires_at": "When it expires",
    "expires_in_seconds": "Lifetime in seconds",
    "max_downloads": "How often the file can be downloaded; null: without limit",
    "has_password": "Whether a password is required",
    "asks_password": "Whether a password is required",
    "items": "Items of this page",
    "files": "Files",
    "parts": "Parts of the upload",
    "number": "Number of the part, from 1",
    "etag": "`ETag` of the response to the upload of the part",
    "complete": "Whether all chunks are stored",
    "quota_bytes": "Size of the quota in bytes",
    "x-chunk-sha256": "SHA-256 of the chunk, hexadecimal",
}
