"""The application that every service is: FastAPI with our errors, health, limits and pages."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
from fastapi import APIRouter, FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.responses import Response
from fastapi.routing import APIRoute
from fastapi.telemetry import TelemetryConfig
from prometheus_client import CollectorRegistry
from starlette.types import Lifespan

from sharezync_shared.asgi.middleware import HttpMetrics, RequestLayer
from sharezync_shared.health import Health
from sharezync_shared.metrics import show_build
from sharezync_shared.problems import (
    CONTENT_TYPE,
    Invalid,
    Malformed,
    Problem,
    ProblemDocument,
    TooLarge,
    Unavailable,
    install_problem_handlers,
    problems,
)
from sharezync_shared.sizes import MAX_JSON_BODY_BYTES
from sharezync_shared.streams.declared import KEY, Realtime
from sharezync_shared.tracing.spans import Tracing

_INTERNAL: Final = {"internal": "Calls between services. The gateway doesn't route them."}

_NO_TELEMETRY: Final[TelemetryConfig] = {
    "tracing": False,
    "metrics": False,
    "logs": False,
    "operation_spans": False,
    "auto_configure": False,
}
"""FastAPI's own would follow whatever a stranger asks for, and tell paths and texts of exceptions;
spans are ours (sharezync_shared/tracing)."""


def create_service_app(
    *,
    name: str,
    summary: str,
    description: str,
    version: str,
    lifespan: Lifespan[FastAPI],
    registry: CollectorRegistry,
    routers: Sequence[APIRouter],
    health: Health,
    metrics: HttpMetrics | None = None,
    tracing: Tracing | None = None,
    max_body_bytes: int | None = MAX_JSON_BODY_BYTES,
    realtime: Realtime | None = None,
    tags: Mapping[str, str] | None = None,
    fields: Mapping[str, str] | None = None,
) -> FastAPI:
    """Return the application of the service `name`.

    `/health` answers 200 while the process lives; `/ready` answers with what `health` knows, 200 or
    503. `metrics` is given where several services share one registry. `max_body_bytes` None leaves
    limits to the routes (storage takes files). `realtime` is what the service says on sockets; its
    document carries it. `tags` are the tags of its routes in their order, with descriptions;
    `fields` are descriptions of parameters and properties by name, for those that don't have their
    own.

    Names of route functions are operation ids, and by that the method names of generated clients.
    """
    app = FastAPI(
        telemetry=_NO_TELEMETRY,
        title=f"ShareZync {name}",
        summary=summary,
        description=description,
        version=version,
        lifespan=lifespan,
        docs_url=None,  # the gateway serves the pages of all services
        redoc_url=None,
        separate_input_output_schemas=False,
        openapi_tags=[
            {"name": tag, "description": text}
            for tag, text in {**(tags or {}), **_INTERNAL}.items()
        ],
    )
    show_build(registry, name, version)
    install_problem_handlers(app)
    for router in (_health_routes(health), *routers):
        for route in router.routes:
            if isinstance(route, APIRoute):
                route.unique_id = route.name
        # The routes as they are. `include_router` would make each anew for this application, at its
        # first request: a tenth of a second, for the same, since nothing is added to them here.
        app.router.routes.extend(router.routes)
    app.add_middleware(
        RequestLayer,
        service=name,
        metrics=metrics or HttpMetrics(registry),
        max_body_bytes=max_body_bytes,
        tracing=tracing,
    )
    app.openapi = lambda: _openapi(app, realtime, fields or {})  # type: ignore[method-assign]  # FastAPI's documented way
    return app


def _health_routes(health: Health) -> APIRouter:
    router = APIRouter(include_in_schema=False)

    @router.get("/health")
    async def alive() -> dict[str, str]:
        return {"status": "alive"}

    @router.get("/ready")
    async def ready() -> Response:
        readiness = await health.readiness()
        return Response(
            msgspec.json.encode(readiness),
            200 if readiness.ready else 503,
            media_type="application/json",
        )

    return router


def _openapi(app: FastAPI, realtime: Realtime | None, fields: Mapping[str, str]) -> dict[str, Any]:
    """Build the document once, with every error as the problem document that it is."""
    if app.openapi_schema:
        return app.openapi_schema
    schema = get_openapi(
        title=app.title,
        version=app.version,
        summary=app.summary,
        description=app.description,
        routes=app.routes,
        tags=app.openapi_tags,
    )
    components = schema.setdefault("components", {}).setdefault("schemas", {})
    components.pop("HTTPValidationError", None)
    components.pop("ValidationError", None)
    document = ProblemDocument.model_json_schema(ref_template="#/components/schemas/{model}")
    components.update(document.pop("$defs", {}))
    components["ProblemDocument"] = document
    invalid = problems(Invalid)[Invalid.kind.value]
    for path in schema["paths"].values():
        for operation in path.values():
            responses = operation.get("responses", {})
            if "application/json" in responses.get("422", {}).get("content", {}):
                responses["422"] = invalid
            if "application/json" in operation.get("requestBody", {}).get("content", {}):
                _declare(responses, Malformed, TooLarge)
            _declare(responses, Unavailable)  # whatever stands behind may be away
            for status, answer in responses.items():
                if status[0] in "45":
                    answer["content"] = answer.get("content") or {CONTENT_TYPE: {}}
    _describe(schema, fields)
    if realtime is not None:
        schema[KEY] = realtime.document()
    app.openapi_schema = schema
    return schema


def _describe(value: Any, fields: Mapping[str, str]) -> None:  # noqa: ANN401 - any JSON
    """Give parameters and properties without a description that of their name."""
    if isinstance(value, list):
        for item in value:
            _describe(item, fields)
    elif isinstance(value, dict):
        named = value["properties"].items() if isinstance(value.get("properties"), dict) else ()
        for name, schema in (
            *named,
            *((each["name"], each) for each in value.get("parameters", ())),
        ):
            if name in fields:
                schema.setdefault("description", fields[name])
        for item in value.values():
            _describe(item, fields)


def _declare(responses: dict[str, Any], *types: type[Problem]) -> None:
    """Add problems that the framework itself answers with to those that the route declares."""
    for status, entry in problems(*types).items():
        known = responses.setdefault(str(status), entry)
        examples = known["content"].setdefault(CONTENT_TYPE, {}).setdefault("examples", {})
        added = entry["content"][CONTENT_TYPE]["examples"]
        if not added.keys() <= examples.keys():
            known["description"] = f"{known['description']}; {entry['description']}"
            examples.update(added)
