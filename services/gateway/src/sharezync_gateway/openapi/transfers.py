"""The OpenAPI description of chunks and files of transfers."""

from typing import Any

from sharezync_gateway.openapi.merge import Document
from sharezync_gateway.transfers.errors import (
    BodyTooSlow,
    ChunkConflict,
    ChunkCorrupt,
    ChunkLength,
    ChunkMissing,
    ChunkOutside,
    NotInThisState,
    QuotaExceeded,
    StorageFull,
    TransferOver,
    UploadClosed,
)
from sharezync_shared.asgi.content_wanted import PreconditionFailed, RangeUnsatisfiable
from sharezync_shared.problems import (
    Forbidden,
    Invalid,
    NotFound,
    Problem,
    ProblemDocument,
    RateLimited,
    TooLarge,
    Unauthenticated,
    Unavailable,
    problems,
)
from sharezync_shared.tokens.dependencies import TOKEN_URL

_TAG = "transfers"
_CHUNK = "/v1/transfers/{transfer_id}/files/{file}/chunks/{index}"
_CONTENT = "/v1/transfers/{transfer_id}/files/{file}/content"
_SECURITY: list[dict[str, list[str]]] = [{"user": []}, {"transfer": []}]
_BYTES = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}

_DIGEST = {
    "X-Chunk-Sha256": {
        "description": "SHA-256 of the chunk, hexadecimal",
        "schema": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
    }
}

_NUMBER = {"type": "integer", "minimum": 0, "maximum": 2**31 - 1}

_ALWAYS: tuple[type[Problem], ...] = (
    Unauthenticated, Forbidden, NotFound, Invalid, RateLimited, Unavailable,
)  # fmt: skip


def transfer_paths() -> Document:
    """Return the operations on chunks and contents."""
    return {
        _CHUNK: {"get": _get_chunk(), "head": _head_chunk(), "put": _put_chunk()},
        _CONTENT: {"get": _get_content(), "head": _head_content()},
    }


def transfer_components() -> Document:
    """Return the components that those refer to, equal to those of the services."""
    document = ProblemDocument.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas = {**document.pop("$defs", {}), "ProblemDocument": document}
    flows = {"password": {"scopes": {}, "tokenUrl": TOKEN_URL}}
    return {
        "schemas": schemas,
        "securitySchemes": {
            "user": {"type": "oauth2", "flows": flows},
            "transfer": {
                "type": "http",
                "scheme": "transfer",
                "description": "A capability token of one transfer, from creating or accepting "
                "it or from `POST /v1/transfers/{id}/token`: `Authorization: Transfer szt1.…`",
            },
        },
    }


def _put_chunk() -> Document:
    digest = {
        "name": "X-Chunk-Sha256",
        "in": "header",
        "required": True,
        "description": "SHA-256 of the chunk, hexadecimal",
        "schema": {"type": "string", "pattern": "^[0-9a-fA-F]{64}$"},
    }
    stored = {
        "type": "object",
        "required": ["stored_bytes", "next", "complete"],
        "properties": {
            "stored_bytes": {
                "type": "integer",
                "description": "Number of stored bytes of the file",
            },
            "next": {
                "type": "integer",
                "description": "Index of the first missing chunk; the number of chunks if none is",
            },
            "complete": {
                "type": "boolean",
                "description": "Whether all chunks of the file are stored",
            },
        },
    }
    return {
        "operationId": "upload_transfer_chunk",
        "tags": [_TAG],
        "summary": "Upload a chunk of a transfer",
        "description": "The raw body is the chunk. Once the response is sent, it is durable and on "
        "its way to the recipients. Chunks can be uploaded in any order and concurrently; "
        "uploading the same chunk again returns the same response.",
        "security": _SECURITY,
        "parameters": [*_chunk(), digest],
        "requestBody": {"required": True, "content": _BYTES},
        "responses": {
            "200": {
                "description": "The chunk is stored",
                "content": {"application/json": {"schema": stored}},
            },
            **_refusals(
                *_ALWAYS, BodyTooSlow, TooLarge, ChunkOutside, ChunkLength, ChunkCorrupt,
                ChunkConflict, UploadClosed, TransferOver, StorageFull, QuotaExceeded,
            ),
        },
    }  # fmt: skip


def _get_chunk() -> Document:
    return {
        "operationId": "download_transfer_chunk",
        "tags": [_TAG],
        "summary": "Download a chunk of a transfer",
        "description": "Returns a stored chunk and its digest, for clients that verify each chunk "
        "or repeat a damaged one. To download a whole file, `content` is faster.",
        "security": _SECURITY,
        "parameters": _chunk(),
        "responses": {
            "200": {"description": "The chunk", "headers": _DIGEST, "content": _BYTES},
            **_refusals(*_ALWAYS, ChunkMissing, NotInThisState, TransferOver, TooLarge),
        },
    }


def _head_chunk() -> Document:
    return {
        "operationId": "get_transfer_chunk_digest",
        "tags": [_TAG],
        "summary": "Get the digest of a chunk",
        "description": "Returns the headers of the chunk without its content.",
        "security": _SECURITY,
        "parameters": _chunk(),
        "responses": {
            "200": {"description": "Headers of the chunk", "headers": _DIGEST},
            **_refusals(*_ALWAYS, ChunkMissing, NotInThisState, TransferOver, TooLarge),
        },
    }


def _get_content() -> Document:
    confirm = {
        "name": "confirm",
        "in": "query",
        "description": "Whether sent bytes count as received. Clients that verify what they "
        "receive should instead confirm it with `POST /v1/transfers/{transfer_id}/receipts`.",
        "schema": {"type": "boolean", "default": False},
    }
    ranged = {
        "name": "Range",
        "in": "header",
        "description": "A range of bytes (RFC 9110 §14)",
        "schema": {"type": "string"},
    }
    return {
        "operationId": "download_transfer_file",
        "tags": [_TAG],
        "summary": "Download a file of a transfer",
        "description": "Returns the file, even while it is being uploaded: bytes are sent as soon "
        "as they are stored. If the transfer ends before all are, the connection is closed: a "
        "response is complete if it has its `Content-Length`. `ETag` is the root of the file, once "
        "it is known; until then no `If-Match` matches except `*`.",
        "security": _SECURITY,
        "parameters": [*_file(), confirm, ranged],
        "responses": {
            "200": {"description": "The whole file", "content": _BYTES},
            "206": {"description": "The requested range", "content": _BYTES},
            "304": {"description": "Not modified"},
            **_refusals(
                *_ALWAYS,
                NotInThisState,
                TransferOver,
                PreconditionFailed,
                RangeUnsatisfiable,
                TooLarge,
            ),
        },
    }


def _head_content() -> Document:
    return {
        "operationId": "get_transfer_file_headers",
        "tags": [_TAG],
        "summary": "Get the headers of a file of a transfer",
        "description": "Returns the headers of a download, with size and `ETag`, without its body.",
        "security": _SECURITY,
        "parameters": _file(),
        "responses": {
            "200": {"description": "Headers of the file"},
            "304": {"description": "Not modified"},
            **_refusals(*_ALWAYS, NotInThisState, TransferOver, PreconditionFailed),
        },
    }


def _file() -> list[Document]:
    """Return what names a file in a path."""
    return [
        _in_path("transfer_id", "Id of the transfer", {"type": "string", "format": "uuid"}),
        _in_path("file", "Number of the file in the transfer, from 0", _NUMBER),
    ]


def _chunk() -> list[Document]:
    """Return what names a chunk in a path."""
    return [*_file(), _in_path("index", "Number of the chunk in the file, from 0", _NUMBER)]


def _in_path(name: str, description: str, schema: Document) -> Document:
    return {
        "name": name, "in": "path", "required": True, "description": description, "schema": schema
    }  # fmt: skip


def _refusals(*types: type[Problem]) -> dict[str, Any]:
    return {str(status): entry for status, entry in problems(*types).items()}
