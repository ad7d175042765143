"""Errors as clients see them: `application/problem+json` (RFC 9457), everywhere.

A domain error knows its kind, slug and title; `STATUS` below maps kinds to HTTP. Sockets carry
the same slugs as `code`. Slugs are API: documented, tested, stable.
"""

import math
from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any, ClassVar

import msgspec
import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.types import Send

from sharezync_shared.observability import request_id_var

log = structlog.get_logger()

CONTENT_TYPE = "application/problem+json"


class ProblemKind(Enum):
    """What sort of thing went wrong; the value is the HTTP status."""

    MALFORMED = 400
    UNAUTHENTICATED = 401
    FORBIDDEN = 403
    NOT_FOUND = 404
    NOT_ALLOWED = 405
    SLOW = 408
    CONFLICT = 409
    GONE = 410
    PRECONDITION = 412
    TOO_LARGE = 413
    UNSUPPORTED = 415
    RANGE = 416
    INVALID = 422
    LOCKED = 423
    LIMITED = 429
    CHECKSUM = 460
    """Of tus 1.0.0 alone: the checksum of a body doesn't match."""
    BROKEN = 500
    UPSTREAM = 502
    UNAVAILABLE = 503
    TIMEOUT = 504
    FULL = 507


class Problem(Exception):
    """An error with a stable name. Subclass it with a slug and a title of its own."""

    kind: ClassVar[ProblemKind] = ProblemKind.BROKEN
    slug: ClassVar[str] = "internal-error"
    title: ClassVar[str] = "Internal server error"
    usual_headers: ClassVar[Mapping[str, str]] = {}
    """Go with every answer, unless `headers` has another value."""

    def __init__(
        self,
        detail: str = "",
        *,
        headers: Mapping[str, str] | None = None,
        **extras: Any,  # noqa: ANN401 - members of the document are any JSON
    ) -> None:
        super().__init__(detail or self.title)
        self.detail = detail
        self.headers = {**self.usual_headers, **(headers or {})}
        self.extras = extras

    @property
    def status(self) -> int:
        """The HTTP status of this problem."""
        return int(self.kind.value)


class Malformed(Problem):
    kind, slug, title = ProblemKind.MALFORMED, "malformed", "The request is malformed"


class Unauthenticated(Problem):
    kind, slug = ProblemKind.UNAUTHENTICATED, "unauthenticated"
    title = "A valid access token is required"
    usual_headers = {"WWW-Authenticate": "Bearer"}  # noqa: RUF012 - as declared in Problem


class Forbidden(Problem):
    kind, slug, title = ProblemKind.FORBIDDEN, "forbidden", "You don't have permission to do this"


class NotFound(Problem):
    kind, slug = ProblemKind.NOT_FOUND, "not-found"
    title = "The resource doesn't exist, or you can't access it"


class NotAllowed(Problem):
    kind, slug = ProblemKind.NOT_ALLOWED, "method-not-allowed"
    title = "This method isn't allowed for this path"


class Conflict(Problem):
    kind, slug = ProblemKind.CONFLICT, "conflict"
    title = "The request conflicts with the current state"


class Gone(Problem):
    kind, slug, title = ProblemKind.GONE, "gone", "The resource is no longer available"


class TooLarge(Problem):
    kind, slug, title = ProblemKind.TOO_LARGE, "too-large", "The request is too large"


class Unsupported(Problem):
    kind, slug = ProblemKind.UNSUPPORTED, "unsupported-media-type"
    title = "This content type isn't supported"


class Invalid(Problem):
    kind, slug, title = ProblemKind.INVALID, "invalid", "The request is invalid"


class InternalError(Problem):
    """The answer to an exception that nobody foresaw: no detail ever leaves the process."""


class RetryLater(Problem):
    """It may go well after `retry_after_seconds`, which `Retry-After` says, rounded up."""

    def __init__(
        self,
        detail: str = "",
        *,
        retry_after_seconds: float = 1,
        headers: Mapping[str, str] | None = None,
        **extras: Any,  # noqa: ANN401 - as in Problem
    ) -> None:
        after = {"Retry-After": str(max(1, math.ceil(retry_after_seconds)))}
        super().__init__(detail, headers={**after, **(headers or {})}, **extras)
        self.retry_after_seconds = retry_after_seconds


class RateLimited(RetryLater):
    kind, slug, title = ProblemKind.LIMITED, "rate-limited", "Too many requests"


class Unavailable(RetryLater):
    kind, slug = ProblemKind.UNAVAILABLE, "unavailable"
    title = "The service is temporarily unavailable"


class UpstreamTimeout(RetryLater):
    kind, slug = ProblemKind.TIMEOUT, "upstream-timeout"
    title = "An upstream service took too long to respond"


_BY_STATUS: dict[int, type[Problem]] = {
    problem.kind.value: problem
    for problem in (
        Malformed, Unauthenticated, Forbidden, NotFound, NotAllowed, Conflict, Gone, TooLarge,
        Unsupported, Invalid, RateLimited, Unavailable, UpstreamTimeout,
    )
}  # fmt: skip


class FieldError(BaseModel):
    """A field that was refused."""

    field: str = Field(examples=["body.username"], description="Path of the field")
    message: str = Field(
        examples=["String should have at least 3 characters"], description="Why it was refused"
    )


class ProblemDocument(BaseModel):
    """An error (RFC 9457)."""

    type: str = Field(
        examples=["urn:sharezync:problem:not-found"], description="URI of the kind of error"
    )
    title: str = Field(examples=[NotFound.title], description="Summary of the kind of error")
    status: int = Field(examples=[404], description="HTTP status code")
    detail: str = Field("", description="What went wrong in this request, for people to read")
    code: str = Field(
        examples=["not-found"], description="Stable name of the kind of error, for programs to use"
    )
    request_id: str | None = Field(None, description="Id to quote in a support request")
    errors: list[FieldError] | None = Field(
        None, description="With `invalid`: the fields that were refused"
    )


def document(problem: Problem, request_id: str | None = None) -> dict[str, Any]:
    """Return the problem document as a dict, ready for JSON."""
    return {
        "type": f"urn:sharezync:problem:{problem.slug}",
        "title": problem.title,
        "status": problem.status,
        "detail": problem.detail or problem.title,
        "code": problem.slug,
        "request_id": request_id or request_id_var.get(),
        **problem.extras,
    }


def refusal_document(problem: Problem) -> dict[str, Any]:
    """Return the document of a refused command; the gateway sends sockets the time to retry."""
    after = getattr(problem, "retry_after_seconds", None)
    return document(problem) | ({} if after is None else {"retry_after_seconds": after})


def problem_body(problem: Problem, request_id: str | None = None) -> bytes:
    """Return the problem document as JSON bytes."""
    return msgspec.json.encode(document(problem, request_id))


def problem_response(problem: Problem) -> Response:
    """Return the problem as a response of Starlette's."""
    return Response(
        problem_body(problem), problem.status, headers=problem.headers, media_type=CONTENT_TYPE
    )


async def send_problem(send: Send, problem: Problem, request_id: str | None = None) -> None:
    """Answer with a problem from a raw ASGI application."""
    body = problem_body(problem, request_id)
    headers = [
        (b"content-type", CONTENT_TYPE.encode()),
        (b"content-length", str(len(body)).encode()),
        *((k.lower().encode(), v.encode("latin-1")) for k, v in problem.headers.items()),
    ]
    await send({"type": "http.response.start", "status": problem.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def problems(*types: type[Problem]) -> dict[int | str, dict[str, Any]]:
    """Declare the problems of a route, for `responses=`; same statuses are listed together."""
    by_status: dict[int | str, dict[str, Any]] = {}
    for problem in types:
        entry = by_status.setdefault(
            problem.kind.value,
            {"description": "", "content": {CONTENT_TYPE: {"examples": {}}}},
        )
        sentence = f"`{problem.slug}`: {problem.title}"
        entry["description"] = "; ".join(filter(None, [entry["description"], sentence]))
        example = {**document(problem("")), "request_id": "01936f0c2b7e7d33"}
        content = entry["content"][CONTENT_TYPE]
        content["examples"][problem.slug] = {"value": example}
        content["schema"] = {"$ref": "#/components/schemas/ProblemDocument"}
    return by_status


def of_status(status: int, detail: str = "", headers: Mapping[str, str] | None = None) -> Problem:
    """Return the generic problem for an HTTP status that a framework chose."""
    found = _BY_STATUS.get(status, Malformed if status < 500 else InternalError)
    return found(detail, headers=headers)


def field_errors(errors: Sequence[Mapping[str, Any]], *within: str) -> list[dict[str, str]]:
    """Return pydantic's errors as the `errors` of a problem; their fields are those of `within`.

    What a policy or validator of ours says is kept in its own words.
    """
    return [
        {
            "field": ".".join(str(part) for part in (*within, *e["loc"])),
            "message": str(e["msg"]).removeprefix("Value error, "),
        }
        for e in errors[:20]  # a stranger's body may be wrong in thousands of places
    ]


def install_problem_handlers(app: FastAPI) -> None:
    """Make `app` answer every error, the framework's own included, with a problem document."""

    async def on_problem(_: Request, error: Exception) -> Response:
        assert isinstance(error, Problem)  # noqa: S101 - narrows what Starlette promises
        return problem_response(error)

    async def on_http(_: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)  # noqa: S101 - as above
        return problem_response(of_status(error.status_code, str(error.detail), error.headers))

    async def on_invalid(_: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)  # noqa: S101 - as above
        fields = error.errors()
        if any(e["type"] == "json_invalid" for e in fields):
            return problem_response(Malformed("The body is not valid JSON"))
        return problem_response(Invalid(errors=field_errors(fields)))

    async def on_any(_: Request, error: Exception) -> Response:
        log.error("unhandled_exception", exc_info=error)
        return problem_response(InternalError())

    app.add_exception_handler(Problem, on_problem)
    app.add_exception_handler(HTTPException, on_http)
    app.add_exception_handler(RequestValidationError, on_invalid)
    app.add_exception_handler(Exception, on_any)
