"""The gateway's own part of the document."""

from sharezync_gateway.openapi.merge import Document
from sharezync_gateway.openapi.transfers import transfer_components, transfer_paths

_TAG = "gateway"


def own_document() -> Document:
    """Return the operations that the gateway answers itself."""
    return {
        "openapi": "3.1.0",
        "info": {"title": "ShareZync gateway", "version": "1"},
        "tags": [{"name": _TAG, "description": "The door itself."}],
        "paths": {
            "/health": {"get": _operation("health", "Whether this replica lives", _verdict(200))},
            "/ready": {
                "get": _operation(
                    "ready", "Whether this replica takes work", _verdict(200) | _verdict(503)
                )
            },
            "/openapi.json": {
                "get": _operation("openapi", "This document", _any_json("OpenAPI 3.1"))
            },
            "/asyncapi.json": {
                "get": _operation(
                    "asyncapi", "What is said on sockets and on the broker", _any_json("AsyncAPI 3")
                )
            },
            **transfer_paths(),
        },
        "components": transfer_components(),
    }


def _operation(name: str, summary: str, responses: Document) -> Document:
    return {
        "operationId": f"gateway_{name}",
        "summary": summary,
        "tags": [_TAG],
        "responses": responses,
    }


def _verdict(status: int) -> Document:
    words = {200: "Yes", 503: "No, and why: each check with its verdict"}
    checks = {"type": "object", "additionalProperties": {"type": "boolean"}}
    schema = {
        "type": "object",
        "properties": {
            "status": {"type": "string"},
            "ready": {"type": "boolean"},
            "checks": checks,
        },
    }
    content = {"application/json": {"schema": schema}}
    return {str(status): {"description": words[status], "content": content}}


def _any_json(description: str) -> Document:
    content = {"application/json": {"schema": {"type": "object"}}}
    return {"200": {"description": description, "content": content}}
