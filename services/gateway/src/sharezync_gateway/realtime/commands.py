"""Commands of all sockets, brought to chat in batches.

No timer: the first command leaves at once, and what arrives while a batch is on its way is the next
one. Alone a command waits for nobody; under load one call carries many.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

import structlog

from sharezync_gateway.realtime.connection import Connection
from sharezync_gateway.realtime.peers import Command, Outcome, Peers, PeerUnavailable, Refusal
from sharezync_gateway.realtime.protocol import Error, FrameId
from sharezync_shared.problems import Unavailable

log = structlog.get_logger()

Answer = Callable[[Outcome], None]

RETRYABLE: Final = frozenset({429, 503, 504})
"""Statuses of problems that pass."""
_BATCH: Final = 200
"""Commands in one call; bounds the transaction that chat makes of them."""
_WAITING: Final = 20_000
"""Commands that may wait on this node while chat is slow; those beyond are told to come later."""

_BUSY: Final = Refusal(
    Unavailable.slug, "Chat is not available at this moment", 503, retry_after_seconds=1
)


class CommandQueue:
    """Carries commands to chat, one batch at a time, and outcomes back."""

    def __init__(self, peers: Peers) -> None:
        self._peers = peers
        self._waiting: deque[tuple[Command, Answer]] = deque()
        self._task: asyncio.Task[None] | None = None

    def submit(self, command: Command, answer: Answer) -> None:
        """Have `command` carried out; `answer` is called once with what became of it.

        Commands of one connection are carried out in the order given. A refusal with the slug
        `unavailable` says that the outcome is unknown.
        """
        if len(self._waiting) >= _WAITING:
            answer(Outcome(problem=_BUSY))
            return
        self._waiting.append((command, answer))
        if self._task is None:
            self._task = asyncio.create_task(self._flush(), name="commands")

    async def aclose(self) -> None:
        """Stop; what is on its way is answered as unavailable."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _flush(self) -> None:
        try:
            while self._waiting:
                count = min(len(self._waiting), _BATCH)
                batch = [self._waiting.popleft() for _ in range(count)]
                outcomes = [Outcome(problem=_BUSY)] * count
                try:
                    outcomes = await self._peers.commands([command for command, _ in batch])
                except PeerUnavailable as error:
                    log.warning("commands_not_carried_out", count=count, error=str(error))
                finally:
                    for (_, answer), outcome in zip(batch, outcomes, strict=True):
                        answer(outcome)
        finally:
            self._task = None


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
