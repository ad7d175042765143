"""The doors of transfers over HTTP, as OpenAPI has them."""

from typing import Any

from sharezync_gateway.openapi.merge import Document
from sharezync_gateway.transfers.problems import (
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
    """Return what those refer to: the same that the services say."""
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
                "description": "The capability token of one transfer, in one role",
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
        "required": ["stored_bytes", "through", "complete"],
        "properties": {
            "stored_bytes": {"type": "integer", "description": "Of the file"},
            "through": {"type": "integer", "description": "How many chunks without a gap"},
            "complete": {"type": "boolean", "description": "Whether all of the file is stored"},
        },
    }
    return {
        "operationId": "gateway_put_transfer_chunk",
        "tags": [_TAG],
        "summary": "Send a chunk",
        "description": "The raw body is the chunk. It is stored for good, and on its way to who "
        "receives, when the answer comes. In any order, several at a time; the same chunk again "
        "is answered the same way.",
        "security": _SECURITY,
        "parameters": [*_chunk(), digest],
        "requestBody": {"required": True, "content": _BYTES},
        "responses": {
            "200": {
                "description": "Stored",
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
        "operationId": "gateway_get_transfer_chunk",
        "tags": [_TAG],
        "summary": "Read a chunk",
        "description": "One chunk that is stored, whatever else is, with its digest: for readers "
        "who check each chunk by itself, or fetch again what arrived damaged. `content` brings a "
        "whole file faster.",
        "security": _SECURITY,
        "parameters": _chunk(),
        "responses": {
            "200": {"description": "The chunk", "headers": _DIGEST, "content": _BYTES},
            **_refusals(*_ALWAYS, ChunkMissing, NotInThisState, TransferOver, TooLarge),
        },
    }


def _head_chunk() -> Document:
    return {
        "operationId": "gateway_head_transfer_chunk",
        "tags": [_TAG],
        "summary": "The digest of a chunk",
        "security": _SECURITY,
        "parameters": _chunk(),
        "responses": {
            "200": {"description": "As GET would answer, without the chunk", "headers": _DIGEST},
            **_refusals(*_ALWAYS, ChunkMissing, NotInThisState, TransferOver, TooLarge),
        },
    }


def _get_content() -> Document:
    confirm = {
        "name": "confirm",
        "in": "query",
        "description": "Whether what was sent counts as received. Who can tell better what has "
        "arrived and is kept says so by itself, in `POST /v1/transfers/{transfer_id}/receipts`.",
        "schema": {"type": "boolean", "default": False},
    }
    ranged = {
        "name": "Range",
        "in": "header",
        "description": "One range of bytes (RFC 9110 §14)",
        "schema": {"type": "string"},
    }
    return {
        "operationId": "gateway_get_transfer_content",
        "tags": [_TAG],
        "summary": "Read a file, even while it still arrives",
        "description": "The bytes in order, each as soon as it is stored. Where the transfer ends "
        "before all of them are there, the connection is broken off: an answer is whole when it "
        "has its `Content-Length`. `ETag` is the root of the file, once that is known; until then "
        "no `If-Match` holds but `*`.",
        "security": _SECURITY,
        "parameters": [*_file(), confirm, ranged],
        "responses": {
            "200": {"description": "All of it", "content": _BYTES},
            "206": {"description": "The range", "content": _BYTES},
            "304": {"description": "`If-None-Match` names its `ETag`"},
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
        "operationId": "gateway_head_transfer_content",
        "tags": [_TAG],
        "summary": "How long a file is, and which",
        "security": _SECURITY,
        "parameters": _file(),
        "responses": {
            "200": {"description": "As GET would answer, without the bytes"},
            "304": {"description": "`If-None-Match` names its `ETag`"},
            **_refusals(*_ALWAYS, NotInThisState, TransferOver, PreconditionFailed),
        },
    }


def _file() -> list[Document]:
    """Return what names a file in a path."""
    return [
        _in_path("transfer_id", "The transfer", {"type": "string", "format": "uuid"}),
        _in_path("file", "Which file of it, from 0", _NUMBER),
    ]


def _chunk() -> list[Document]:
    """Return what names a chunk in a path."""
    return [*_file(), _in_path("index", "Which chunk of the file, from 0", _NUMBER)]


def _in_path(name: str, description: str, schema: Document) -> Document:
    return {
        "name": name, "in": "path", "required": True, "description": description, "schema": schema
    }  # fmt: skip


def _refusals(*types: type[Problem]) -> dict[str, Any]:
    return {str(status): entry for status, entry in problems(*types).items()}
