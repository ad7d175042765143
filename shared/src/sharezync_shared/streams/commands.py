"""The endpoint for commands that came in on sockets, the same in every service that has some."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from inspect import isawaitable
from typing import Any, Final, Generic, TypeVar

import msgspec
import structlog
from fastapi import APIRouter, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import TypeAdapter, ValidationError
from starlette.datastructures import State
from starlette.types import Receive, Scope, Send

from sharezync_shared.calls.operations import Operation
from sharezync_shared.contracts.commands import Command, Commands
from sharezync_shared.db.outages import Outages
from sharezync_shared.ids import UserId
from sharezync_shared.problems import (
    InternalError,
    Invalid,
    Problem,
    Unauthenticated,
    field_errors,
    problems,
    refusal_document,
)
from sharezync_shared.streams.declared import SocketCommand
from sharezync_shared.tokens.dependencies import SERVICES_ONLY, bearer_token
from sharezync_shared.tracing.context import current_trace, read_context
from sharezync_shared.tracing.spans import SpanKind, TraceSpan, Tracing, span

log = structlog.get_logger()

Parts = TypeVar("Parts")


@dataclass(frozen=True, slots=True)
class CommandDone:
    """What a command is answered with: `data`, and `end` where the contract has it, as JSON."""

    data: bytes
    end: bytes | None = None

    def json(self) -> bytes:
        """Return it as a result."""
        end = b"" if self.end is None else b',"end":' + self.end
        return b'{"data":' + self.data + end + b"}"


Handler = Callable[[Command, Any, Parts], Awaitable[CommandDone | Awaitable[CommandDone]]]
"""Carries a command out; is given its data as the declared model, and the parts of the call.

What it returns may be awaitable: the next command of the same user begins meanwhile. So what takes
long, and decides no order, comes before that, and what takes a place in the order comes after it.
"""

_commands: Final = TypeAdapter(Commands)
_RESULTS: Final = {
    "type": "object",
    "required": ["results"],
    "properties": {
        "results": {
            "type": "array",
            "description": "Results, in the order of the commands",
            "items": {
                "type": "object",
                "properties": {
                    "data": {"description": "As in the REST response, on success"},
                    "end": {
                        "description": "Part of the user in a transfer, if chunks may be moved"
                    },
                    "problem": {"$ref": "#/components/schemas/ProblemDocument"},
                },
            },
        }
    },
}


class CommandsEndpoint(Generic[Parts]):
    """Carries commands out by the same use cases as REST; one's failure is nobody else's.

    Those of one user are carried out in the order given, those of different users together.
    `parts_of` is called once for each call, with the application's state and all its commands.
    """

    def __init__(
        self,
        operation: Operation[Commands, Any],
        handlers: Mapping[SocketCommand, Handler[Parts]],
        parts_of: Callable[[State, Sequence[Command]], Parts],
    ) -> None:
        self.declared = tuple(handlers)
        self._handlers = {each.type: (each, handler) for each, handler in handlers.items()}
        self._parts_of = parts_of
        self.router = APIRouter(tags=["internal"], route_class=_route_class(self))
        self.router.add_api_route(
            operation.path,
            self.run_commands,
            methods=[operation.method],
            response_model=None,
            dependencies=[SERVICES_ONLY],
            summary="Run socket commands",
            responses={
                200: {"content": {"application/json": {"schema": _RESULTS}}},
                **problems(Unauthenticated, Invalid),
            },
        )

    async def run_commands(self, request: Request, body: Commands) -> Response:
        """Runs the commands with the same use cases as REST. Each fails or succeeds independently.

        Commands of one user are run in the given order, those of different users concurrently.
        """
        state = request.app.state
        by_user: dict[UserId, list[int]] = {}
        for place, command in enumerate(body.commands):
            by_user.setdefault(command.user_id, []).append(place)
        results: list[bytes] = [b""] * len(body.commands)
        parts = self._parts_of(state, body.commands)
        outages: Outages = state.work.database.outages
        tracing: Tracing = state.core.platform.tracing

        async def run_of_one_user(places: Sequence[int]) -> None:
            begun = []
            for place in places:
                command = body.commands[place]
                told = _span_of(command, tracing)  # this task is of one user, and its own
                rest = await self._begin(command, parts)
                begun.append((place, asyncio.create_task(_finish(rest, outages, told))))
            for place, task in begun:
                results[place] = await task

        await asyncio.gather(*(run_of_one_user(places) for places in by_user.values()))
        return Response(b'{"results":[' + b",".join(results) + b"]}", media_type="application/json")

    async def _begin(
        self, command: Command, parts: Parts
    ) -> CommandDone | Awaitable[CommandDone] | Exception:
        try:
            found = self._handlers.get(command.kind)
            if found is None:
                return Invalid(f"Unknown command {command.kind!r}")
            declared, handler = found
            try:
                data = declared.request.model_validate(command.data)
            except ValidationError as error:
                return Invalid(errors=field_errors(error.errors(), "data"))
            return await handler(command, data, parts)
        except Exception as error:  # noqa: BLE001 - one command's failure is its result
            return error


def _span_of(command: Command, tracing: Tracing) -> TraceSpan:
    """Have this task be part of a command's trace, and return the span of carrying it out."""
    current_trace.set(tracing.follow(read_context(command.traceparent)))
    told = span(command.kind, SpanKind.SERVER, {"rpc.method": command.kind})
    if told.context is not None:
        current_trace.set(told.context)
    return told


async def _finish(
    rest: CommandDone | Awaitable[CommandDone] | Exception, outages: Outages, told: TraceSpan
) -> bytes:
    """Carry a command out and return its result as JSON; never raises."""
    try:
        if isinstance(rest, Exception):
            raise rest
        return (await rest if isawaitable(rest) else rest).json()
    except Problem as problem:
        refusal = problem
    except Exception as error:
        outage = outages.problem_of(error)
        if outage is None:
            log.exception("command_failed", exc_info=error)
        refusal = outage or InternalError()
        told.fail(refusal.slug)
    finally:
        told.end()
    return msgspec.json.encode({"problem": refusal_document(refusal)})


def _route_class(endpoint: CommandsEndpoint[Any]) -> type[APIRoute]:
    class CommandsRoute(APIRoute):
        """Documented as any route, and served without FastAPI's way from a request to a function.

        That way costs more than all else that chat does for a message, and one call for each is
        made of a quiet socket.
        """

        async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
            if scope["method"] != "POST":
                await super().handle(scope, receive, send)
                return
            await scope["app"].state.verifier.verify_service(bearer_token(scope["headers"]))
            request = Request(scope, receive)
            commands = _commands_of(await request.body())
            answer = await endpoint.run_commands(request, commands)
            await answer(scope, receive, send)

    return CommandsRoute


def _commands_of(body: bytes) -> Commands:
    """Read a body, and refuse it as FastAPI would."""
    try:
        return _commands.validate_json(body)
    except ValidationError as error:
        faults = [{**each, "loc": ("body", *each["loc"])} for each in error.errors()]
        raise RequestValidationError(faults) from error
