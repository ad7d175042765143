"""Commands of all sockets, brought to chat in batches.

No timer: the first command leaves at once, and what arrives while a batch is on its way is the next
one. Alone a command waits for nobody; under load one call carries many.
"""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Final, NamedTuple

import structlog

from sharezync_gateway.realtime.connection import Connection
from sharezync_gateway.realtime.peers import Command, Outcome, Peers, PeerUnavailable, Refusal
from sharezync_gateway.realtime.protocol import Error, FrameId
from sharezync_shared.problems import RateLimited, Unavailable
from sharezync_shared.sizes import COMMAND_BYTES, COMMANDS_AT_ONCE, MAX_COMMANDS_BYTES

log = structlog.get_logger()

Answer = Callable[[Outcome], None]

RETRYABLE: Final = frozenset({429, 503, 504})
"""Statuses of problems that pass."""
_WAITING: Final = 20_000
"""Commands that may wait on this node while chat is slow; those beyond are told to come later."""
_WAITING_BYTES: Final = 32 * 1024 * 1024
"""What they may weigh together. Where that is taken, a user may still have one frame waiting, of
whatever size: who takes all of it stands in nobody's way but their own."""
_WAITING_BYTES_OF_USER: Final = 8 * 1024 * 1024
"""What those of one user may weigh: a hundred of the longest messages."""

_BUSY: Final = Refusal(
    Unavailable.slug, "Chat is not available at this moment", 503, retry_after_seconds=1
)
_TOO_MUCH: Final = Refusal(
    RateLimited.slug, "Too much of yours is waiting", 429, retry_after_seconds=1
)


class _Waiting(NamedTuple):
    command: Command
    size_bytes: int
    """At most what it takes in a batch."""
    answer: Answer


class _OfUser:
    """What one user's commands are waiting, in order, and what they weigh."""

    __slots__ = ("size_bytes", "waiting")

    def __init__(self) -> None:
        self.waiting: deque[_Waiting] = deque()
        self.size_bytes = 0


class CommandQueue:
    """Carries commands to chat, one batch at a time, and outcomes back.

    A batch is bounded in number and in bytes, so that chat takes it whatever is in it. Users take
    turns, a command each: one who sends a great deal waits for themselves.
    """

    def __init__(self, peers: Peers) -> None:
        self._peers = peers
        self._users: OrderedDict[str, _OfUser] = OrderedDict()
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
            answer(Outcome(problem=_BUSY))
            return
        theirs = self._users.get(command.user_id)
        full = self._size_bytes + size_bytes > _WAITING_BYTES
        most = 0 if full else _WAITING_BYTES_OF_USER - size_bytes
        if theirs is None:
            theirs = self._users[command.user_id] = _OfUser()
        elif theirs.size_bytes > most:
            answer(Outcome(problem=_TOO_MUCH))
            return
        theirs.waiting.append(_Waiting(command, size_bytes, answer))
        self._weigh(theirs, 1, size_bytes)
        if self._task is None:
            self._task = asyncio.create_task(self._flush(), name="commands")

    async def aclose(self) -> None:
        """Stop; what is on its way is answered as unavailable."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _flush(self) -> None:
        try:
            while self._users:
                batch = self._next_batch()
                outcomes = [Outcome(problem=_BUSY)] * len(batch)
                try:
                    outcomes = await self._peers.commands([each.command for each in batch])
                except PeerUnavailable as error:
                    log.warning("commands_not_carried_out", count=len(batch), error=str(error))
                finally:
                    for each, outcome in zip(batch, outcomes, strict=True):
                        each.answer(outcome)
        finally:
            self._task = None

    def _next_batch(self) -> list[_Waiting]:
        """Take as many commands as one call may have, at least one; users in turn."""
        batch: list[_Waiting] = []
        room_bytes = MAX_COMMANDS_BYTES
        while self._users and len(batch) < COMMANDS_AT_ONCE:
            user_id, theirs = next(iter(self._users.items()))
            first = theirs.waiting[0]
            if batch and first.size_bytes > room_bytes:
                break
            batch.append(theirs.waiting.popleft())
            room_bytes -= first.size_bytes
            self._weigh(theirs, -1, -first.size_bytes)
            if theirs.waiting:
                self._users.move_to_end(user_id)
            else:
                del self._users[user_id]
        return batch

    def _weigh(self, theirs: _OfUser, count: int, size_bytes: int) -> None:
        self._count += count
        self._size_bytes += size_bytes
        theirs.size_bytes += size_bytes


def tell_outcome(connection: Connection, frame_id: FrameId, outcome: Outcome) -> None:
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
