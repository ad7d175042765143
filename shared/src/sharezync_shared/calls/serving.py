"""Serving what `contracts` declare: the routes below `/internal`."""

from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Annotated, Any, Final, TypeVar, get_args, get_origin, get_type_hints
from uuid import UUID

import msgspec
from fastapi import APIRouter, Response

from sharezync_shared.calls.operations import Answer, Operation
from sharezync_shared.problems import Invalid, Problem, Unauthenticated, problems
from sharezync_shared.tokens.dependencies import SERVICES_ONLY

Handler = TypeVar("Handler", bound=Callable[..., Awaitable[Any]])

_encoder: Final = msgspec.json.Encoder()


def serve(
    router: APIRouter, operation: Operation[Any, Answer], *others: type[Problem], summary: str
) -> Callable[[Handler], Handler]:
    """Register the decorated function as what serves an operation; only services may call it.

    It takes the request as a parameter of the declared type, and returns the declared answer.
    `others` are problems that are answered too, and that no caller acts on. Raises TypeError for a
    function that takes or returns something else.
    """

    def register(handler: Handler) -> Handler:
        _check(handler, operation)

        @wraps(handler)
        async def endpoint(*arguments: Any, **named: Any) -> Response:  # noqa: ANN401 - the handler's
            answer = await handler(*arguments, **named)
            if operation.status == 204:
                return Response(status_code=204)
            body = _encoder.encode(answer)
            return Response(body, operation.status, media_type="application/json")

        router.add_api_route(
            operation.path,
            endpoint,
            methods=[operation.method],
            status_code=operation.status,
            response_model=None if operation.status == 204 else operation.answer,
            dependencies=[SERVICES_ONLY],
            summary=summary,
            responses=problems(Unauthenticated, *operation.refusals, *others),
        )
        return handler

    return register


def ids_of(joined: str, most: int) -> list[UUID]:
    """Return the ids of a parameter that lists them with commas. Raises Invalid."""
    try:
        ids = [UUID(part) for part in joined.split(",") if part]
    except ValueError as error:
        raise Invalid("`ids` must be a comma-separated list of UUIDs") from error
    if len(ids) > most:
        raise Invalid(f"At most {most} ids at once")
    return ids


def _check(handler: Callable[..., Any], operation: Operation[Any, Any]) -> None:
    hints = {name: _plain(hint) for name, hint in get_type_hints(handler).items()}
    returned = hints.pop("return", None)
    if returned is not operation.answer:
        raise TypeError(f"{handler.__name__} returns {returned}, declared is {operation.answer}")
    if operation.request is not type(None) and operation.request not in hints.values():
        raise TypeError(f"{handler.__name__} does not take {operation.request}, as is declared")


def _plain(hint: Any) -> Any:  # noqa: ANN401 - what annotations are
    return get_args(hint)[0] if get_origin(hint) is Annotated else hint
