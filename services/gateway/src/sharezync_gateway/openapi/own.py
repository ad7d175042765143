"""The gateway's own part of the document."""

from typing import Final

from sharezync_gateway.openapi.merge import Document
from sharezync_gateway.openapi.transfers import transfer_components, transfer_paths

_TAGS: Final = {
    "transfers": "Transfers of files from user to user: offers, progress, statistics and policies.",
    "realtime": "State and events for clients that are connected by WebSocket.",
    "health": "Health checks, and this document.",
}


_STATUS: Final = {"type": "string", "const": "alive", "description": "Always `alive`"}
_READINESS: Final = {
    "type": "object",
    "required": ["ready", "checks", "services"],
    "properties": {
        "ready": {"type": "boolean", "description": "Whether all checks pass"},
        "checks": {
            "type": "object",
            "additionalProperties": {"type": "boolean"},
            "description": "Result of each check, by name",
        },
        "services": {
            "type": "object",
            "additionalProperties": {"type": "string"},
            "description": "State of the circuit breaker of each service, by name",
        },
    },
}
_READY: Final = {"ready": True, "checks": {"keys": True}, "services": {"auth": "closed"}}
_NOT_READY: Final = {"ready": False, "checks": {"keys": False}}


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
                    "Answers 200 if this replica can handle requests, and otherwise 503. The state "
                    "of `services` doesn't count.",
                    {
                        "200": _json("All checks pass", _READINESS, _READY),
                        "503": _json("Some check fails", _READINESS, {**_READY, **_NOT_READY}),
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
            **transfer_paths(),
        },
        "components": transfer_components(),
    }


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
