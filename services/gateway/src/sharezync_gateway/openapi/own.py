"""The gateway's own part of the document."""

from typing import Any, Final

from sharezync_gateway.errors import (
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
from sharezync_gateway.openapi.merge import Document
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

_TAGS: Final = {
    "transfers": "Transfers of files from user to user: offers, progress, statistics and policies.",
    "realtime": "State and events for clients that are connected by WebSocket.",
    "health": "Health checks, and this document.",
}

_STATUS: Final = {"type": "string", "const": "alive", "description": "Always `alive`"}
_READINESS: Final = {
    "type": "object",
    "required": ["ready", "status", "blocked_by", "dependencies"],
    "properties": {
        "ready": {"type": "boolean", "description": "Whether this replica should get requests"},
        "status": {
            "type": "string",
            "enum": ["ok", "degraded", "not_ready"],
            "description": "`degraded`: ready, but a dependency is down",
        },
        "blocked_by": {
            "type": "array",
            "items": {"type": "string"},
            "description": "What must come true before this replica is ready",
        },
        "dependencies": {
            "type": "object",
            "description": "State of each dependency, by name",
            "additionalProperties": {
                "type": "object",
                "required": ["status"],
                "properties": {
                    "status": {
                        "type": "string",
                        "enum": ["up", "down"],
                        "description": "Whether the dependency responds",
                    },
                    "degraded": {
                        "type": "string",
                        "description": "What is degraded without the dependency",
                    },
                    "detail": {"type": "string", "description": "Why it is considered down"},
                },
            },
        },
    },
}
_UP: Final = {"status": "up"}
_READY: Final = {"ready": True, "status": "ok", "blocked_by": [], "dependencies": {"broker": _UP}}
_NOT_READY: Final = {"ready": False, "status": "not_ready", "blocked_by": ["draining"]}


def _in_path(name: str, description: str, schema: Document) -> Document:
    return {
        "name": name, "in": "path", "required": True, "description": description, "schema": schema
    }  # fmt: skip


_FILE = [
    _in_path("transfer_id", "Id of the transfer", {"type": "string", "format": "uuid"}),
    _in_path("file", "Number of the file in the transfer, from 0", _NUMBER),
]
"""What names a file in a path."""


def own_document() -> Document:
    """Return the operations that the gateway answers itself."""
    return {
        "openapi": "3.1.0",
        "info": {"title": "ShareZync gateway", "version": "1"},
        "tags": [{"name": name, "description": text} for name, text in _TAGS.items()],
        "paths": {
            "/health": {
                "get": _operation(
                    "get_liveness",
                    "health",
                    "Liveness",
                    "Answers 200 while the process is running.",
                    {"200": _json("The process is running", _object(status=_STATUS))},
                )
            },
            "/ready": {
                "get": _operation(
                    "get_readiness",
                    "health",
                    "Readiness",
                    "Answers 200 if this replica should get requests, and otherwise 503. A "
                    "dependency that goes down degrades the service, which stays ready.",
                    {
                        "200": _json("The replica should get requests", _READINESS, _READY),
                        "503": _json(
                            "The replica is starting or stopping",
                            _READINESS,
                            {**_READY, **_NOT_READY},
                        ),
                    },
                )
            },
            "/openapi.json": {
                "get": _operation(
                    "get_openapi_document",
                    "health",
                    "Get the OpenAPI document",
                    "Returns this description of the HTTP API.",
                    {"200": _json("OpenAPI 3.1", {"type": "object"})},
                )
            },
            "/asyncapi.json": {
                "get": _operation(
                    "get_asyncapi_document",
                    "realtime",
                    "Get the AsyncAPI document",
                    "Returns the description of the WebSocket API and of events between services.",
                    {"200": _json("AsyncAPI 3", {"type": "object"})},
                )
            },
            _CHUNK: _chunk_operations(),
            _CONTENT: _content_operations(),
        },
        "components": _components(),
    }


def _components() -> Document:
    """Return what operations refer to, equal to the components of the services."""
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


def _chunk_operations() -> Document:
    parameters = [*_FILE, _in_path("index", "Number of the chunk in the file, from 0", _NUMBER)]
    digest = {
        "name": "X-Chunk-Sha256",
        "in": "header",
        "required": True,
        "description": "SHA-256 of the chunk, hexadecimal",
        "schema": {"type": "string", "pattern": "^[0-9a-fA-F]{64}$"},
    }
    stored = _object(
        stored_bytes={"type": "integer", "description": "Number of stored bytes of the file"},
        next={
            "type": "integer",
            "description": "Index of the first missing chunk; the number of chunks if none is",
        },
        complete={"type": "boolean", "description": "Whether all chunks of the file are stored"},
    )
    unreadable = _refusals(*_ALWAYS, ChunkMissing, NotInThisState, TransferOver, TooLarge)
    return {
        "get": _of_transfers(
            "download_transfer_chunk",
            "Download a chunk of a transfer",
            "Returns a stored chunk and its digest, for clients that verify each chunk or repeat a "
            "damaged one. To download a whole file, `content` is faster.",
            parameters,
            {
                "200": {"description": "The chunk", "headers": _DIGEST, "content": _BYTES},
                **unreadable,
            },
        ),
        "head": _of_transfers(
            "get_transfer_chunk_digest",
            "Get the digest of a chunk",
            "Returns the headers of the chunk without its content.",
            parameters,
            {"200": {"description": "Headers of the chunk", "headers": _DIGEST}, **unreadable},
        ),
        "put": _of_transfers(
            "upload_transfer_chunk",
            "Upload a chunk of a transfer",
            "The raw body is the chunk. Once the response is sent, it is durable and on its way to "
            "the recipients. Chunks can be uploaded in any order and concurrently; uploading the "
            "same chunk again returns the same response.",
            [*parameters, digest],
            {
                "200": _json("The chunk is stored", stored),
                **_refusals(
                    *_ALWAYS, BodyTooSlow, TooLarge, ChunkOutside, ChunkLength, ChunkCorrupt,
                    ChunkConflict, UploadClosed, TransferOver, StorageFull, QuotaExceeded,
                ),
            },
            requestBody={"required": True, "content": _BYTES},
        ),
    }  # fmt: skip


def _content_operations() -> Document:
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
    refusals = (*_ALWAYS, NotInThisState, TransferOver, PreconditionFailed)
    return {
        "get": _of_transfers(
            "download_transfer_file",
            "Download a file of a transfer",
            "Returns the file, even while it is being uploaded: bytes are sent as soon as they are "
            "stored. If the transfer ends before all are, the connection is closed: a response is "
            "complete if it has its `Content-Length`. `ETag` is the root of the file, once it is "
            "known; until then no `If-Match` matches except `*`.",
            [*_FILE, confirm, ranged],
            {
                "200": {"description": "The whole file", "content": _BYTES},
                "206": {"description": "The requested range", "content": _BYTES},
                "304": {"description": "Not modified"},
                **_refusals(*refusals, RangeUnsatisfiable, TooLarge),
            },
        ),
        "head": _of_transfers(
            "get_transfer_file_headers",
            "Get the headers of a file of a transfer",
            "Returns the headers of a download, with size and `ETag`, without its body.",
            _FILE,
            {
                "200": {"description": "Headers of the file"},
                "304": {"description": "Not modified"},
                **_refusals(*refusals),
            },
        ),
    }


def _of_transfers(
    name: str,
    summary: str,
    description: str,
    parameters: list[Document],
    responses: Document,
    **more: Document,
) -> Document:
    operation = _operation(name, "transfers", summary, description, responses)
    return {**operation, "security": _SECURITY, "parameters": parameters, **more}


def _operation(
    name: str, tag: str, summary: str, description: str, responses: Document
) -> Document:
    return {
        "operationId": name,
        "summary": summary,
        "description": description,
        "tags": [tag],
        "responses": responses,
    }


def _object(**properties: Document) -> Document:
    return {"type": "object", "required": list(properties), "properties": properties}


def _json(description: str, schema: Document, example: Document | None = None) -> Document:
    content: Document = {"schema": schema}
    if example is not None:
        content["examples"] = {"readiness": {"value": example}}
    return {"description": description, "content": {"application/json": content}}


def _refusals(*types: type[Problem]) -> dict[str, Any]:
    return {str(status): entry for status, entry in problems(*types).items()}
