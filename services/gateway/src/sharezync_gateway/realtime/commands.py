"""Commands of all sockets, brought to chat in batches.

No timer: the first command leaves at once, and what arrives while a batch is on its way is the next
one. Alone a command waits for nobody; under load one call carries many.
"""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable
from contextvars import Context
from typing import Final

import structlog

from sharezync_gateway.realtime.connection import Connection
from sharezync_gateway.realtime.protocol import RETRYABLE, Error, FrameId
from sharezync_gateway.realtime.service_calls import ServiceCalls
from sharezync_shared.calls.client import ServiceUnavailable
from sharezync_shared.contracts.commands import Command, CommandResult, Refusal
from sharezync_shared.ids import UserId
from sharezync_shared.problems import RateLimited, Unavailable
from sharezync_shared.sizes import COMMAND_BYTES, COMMANDS_AT_ONCE, MAX_COMMANDS_BYTES
from sharezync_shared.tracing.spans import Tracing

log = structlog.get_logger()

Answer = Callable[[CommandResult], None]

_WAITING: Final = 20_000
"""Commands that may wait on this node while chat is slow; more of them are refused, retryable."""
WAITING_BYTES: Final = 32 * 1024 * 1024
"""What they may weigh together. Where that is taken, a user may still have one frame waiting, of
whatever size: who takes all of it stands in nobody's way but their own."""
WAITING_BYTES_OF_USER: Final = 8 * 1024 * 1024
"""What those of one user may weigh: a hundred of the longest messages."""

_BUSY: Final = Refusal(
    Unavailable.slug, "Chat is not available at this moment", 503, retry_after_seconds=1
)
_TOO_MUCH: Final = Refusal(
    RateLimited.slug, "Too much of yours is waiting", 429, retry_after_seconds=1
)


_Waiting = tuple[Command, int, Answer]
"""A command, what it takes in a batch at most, in bytes, and who gets its result."""


class _OfUser(deque[_Waiting]):
    __slots__ = ("size_bytes",)

    size_bytes: int


class CommandQueue:
    """Carries commands to chat, one batch at a time, and outcomes back.

    A batch is bounded in number and in bytes, so that chat takes it whatever is in it. Users take
    turns, a command each: one who sends a great deal waits for themselves. Where chat doesn't
    answer, all that waits is answered as unavailable at once.
    """

    def __init__(self, calls: ServiceCalls, tracing: Tracing | None = None) -> None:
        self._calls = calls
        self._tracing = tracing or Tracing()
        self._users: OrderedDict[UserId, _OfUser] = OrderedDict()
        """Those who have something waiting; whose turn is next stands first."""
        self._count = 0
        self._size_bytes = 0
        self._task: asyncio.Task[None] | None = None

    def submit(self, command: Command, frame_bytes: int, answer: Answer) -> None:
        """Have `command` carried out; `answer` is called once with what became of it.

        `frame_bytes` is how large the frame was that brought it. Commands of one user are carried
        out in the order given. A refusal with the slug `unavailable` says that the outcome is
        unknown; one with `rate-limited` that nothing was done.
        """
        size_bytes = frame_bytes + COMMAND_BYTES
        if self._count >= _WAITING:
            answer(CommandResult(problem=_BUSY))
            return
        theirs = self._users.get(command.user_id)
        full = self._size_bytes + size_bytes > WAITING_BYTES
        most = 0 if full else WAITING_BYTES_OF_USER - size_bytes
        if theirs is None:
            theirs = self._users[command.user_id] = _OfUser()
            theirs.size_bytes = 0
        elif theirs.size_bytes > most:
            answer(CommandResult(problem=_TOO_MUCH))
            return
        theirs.append((command, size_bytes, answer))
        theirs.size_bytes += size_bytes
        self._size_bytes += size_bytes
        self._count += 1
        if self._task is None:
            # In no frame's context: it carries the commands of many.
            self._task = asyncio.create_task(self._flush(), name="commands", context=Context())

    async def aclose(self) -> None:
        """Stop; what is on its way is answered as unavailable."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _flush(self) -> None:
        try:
            while self._users:
                batch = self._next_batch()
                outcomes = [CommandResult(problem=_BUSY)] * len(batch)
                try:
                    outcomes = await self._carry([command for command, _, _ in batch])
                except ServiceUnavailable as error:
                    log.debug("commands_failed", count=len(batch), error=str(error))
                    while self._users:  # behind it each batch would be waited for as long
                        batch += self._next_batch()
                    outcomes = [CommandResult(problem=_BUSY)] * len(batch)
                finally:
                    for (_, _, answer), outcome in zip(batch, outcomes, strict=True):
                        answer(outcome)
        finally:
            self._task = None

    async def _carry(self, commands: list[Command]) -> list[CommandResult]:
        """Call chat. Of several traces the call is part of the first; each command says its own."""
        traceparent = next((each.traceparent for each in commands if each.traceparent), None)
        if traceparent is None:
            return await self._calls.commands(commands)
        with self._tracing.following(traceparent):
            return await self._calls.commands(commands)

    def _next_batch(self) -> list[_Waiting]:
        """Take as many commands as one call may have, at least one; users in turn."""
        batch: list[_Waiting] = []
        users = self._users
        taken_bytes = 0
        while users and len(batch) < COMMANDS_AT_ONCE:
            user_id, theirs = users.popitem(last=False)
            size_bytes = theirs[0][1]
            if batch and taken_bytes + size_bytes > MAX_COMMANDS_BYTES:
                users[user_id] = theirs
                users.move_to_end(user_id, last=False)  # the next batch begins with it
                break
            batch.append(theirs.popleft())
            taken_bytes += size_bytes
            if theirs:
                theirs.size_bytes -= size_bytes
                users[user_id] = theirs
        self._count -= len(batch)
        self._size_bytes -= taken_bytes
        return batch


def send_outcome(connection: Connection, frame_id: FrameId, outcome: CommandResult) -> None:
    """Answer a command with `reply` or `error`; nobody where the client has left."""
    if connection.closed:
        return
    problem = outcome.problem
    if problem is None:
        connection.reply(frame_id, bytes(outcome.data))
        return
    after = problem.retry_after_seconds
    connection.send(
        Error(
            frame_id,
            problem.code,
            problem.detail,
            retryable=problem.status in RETRYABLE,
            retry_after_ms=None if after is None else round(after * 1000),
        )
    )
