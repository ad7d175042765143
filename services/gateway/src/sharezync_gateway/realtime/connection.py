"""One connection: who is at the other end, and what can be sent there.

It lives with `SocketHandler`; hub, commands and transfers hold it only while it is open. There are
thousands of these: it has slots, and no task of its own beside the one that reads its socket.
"""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import InitVar, dataclass, field
from typing import Any, Final

import msgspec
import structlog

from sharezync_gateway.realtime.budget import Budget, BudgetVerdict, UserBudget
from sharezync_gateway.realtime.outbound import Outbound
from sharezync_gateway.realtime.protocol import (
    BadFrame,
    CloseCode,
    Cursor,
    FrameId,
    ServerFrame,
    encode,
    encode_reply,
    error_about,
)
from sharezync_shared.problems import Problem, RateLimited
from sharezync_shared.server import FramePort, encode_text_frame
from sharezync_shared.tokens.claims import Identity

log = structlog.get_logger()

_LONGEST_WAIT_SECONDS: Final = 1.0
"""For frames that were counted, at a time. Pings go unanswered meanwhile."""


@dataclass(slots=True, eq=False)
class StreamChanges:
    """What changed for a connection while the heads of its streams were being asked for."""

    joined: dict[str, Cursor] = field(default_factory=dict)
    """Streams it was put on, with the place before the first frame that it got."""
    left: dict[str, Cursor] = field(default_factory=dict)
    """Streams that its user left, with the place of the last frame that was theirs."""

    def is_over(self, stream: str, head: Cursor) -> bool:
        """Whether the user has left a stream since it stood at `head`."""
        left = self.left.get(stream)
        return left is not None and left[0] == head[0] and left[1] > head[1]


# With the slot for weak references a connection is larger than a set, of which each has some. They
# lie in memory beside others of their kind: writing a frame to 5,000 takes half the time.
@dataclass(slots=True, weakref_slot=True, eq=False, repr=False, kw_only=True)
class Connection(Outbound):
    """One WebSocket of one user."""

    port: InitVar[FramePort]
    id: str
    client_id: str | None
    """What the device calls itself; None on a socket narrowed to a channel."""
    channel: str | None
    """The only stream that this socket follows; None: all of its user's."""
    budget: Budget
    on_closing: Callable[["Connection"], None]
    """Called when nothing can be sent any more, and when the socket is gone."""
    identity: Identity = field(init=False)
    """Whose socket this is. Set before the connection is handed to anybody."""
    device: str | None = None
    """Id of the device; None on a narrowed socket, or as long as auth could not be asked."""
    user_id: str = ""
    session_id: str = ""
    streams: set[str] = field(default_factory=set)
    missing: frozenset[str] = frozenset()
    """Services that could not be asked for its streams: it may be on more than `streams`."""
    notes: StreamChanges | None = None
    """Taken by the hub while somebody waits for heads on behalf of this connection."""
    ends_at: float = float("inf")
    """When the token's time is over for good, in seconds since the epoch."""
    user_budget: UserBudget | None = None
    """Of all sockets of the user on this node; None until it is known who that is."""
    commands_in_flight: int = 0
    closed: bool = False
    """Whether nothing can be sent any more."""
    ended: bool = False
    """Whether the socket is gone, and its callbacks have been called."""
    close_code: int | None = None
    """The code that we closed with; None while we haven't."""
    _on_close: list[Callable[["Connection"], None]] = field(default_factory=list)

    def __post_init__(self, port: FramePort) -> None:
        Outbound.__init__(self, port)

    def __repr__(self) -> str:
        return f"<Connection {self.id} of {self.user_id or 'nobody yet'}>"

    def identify(self, identity: Identity, grace_seconds: float) -> None:
        """Take the connection to be this user's until `grace_seconds` after the token's end."""
        self.identity = identity
        self.user_id = str(identity.user_id)
        self.session_id = str(identity.session_id)
        self.ends_at = identity.expires_at + grace_seconds

    def follows(self, stream: str) -> bool:
        """Whether this socket gets a stream that its user is on."""
        return self.channel is None or stream == self.channel

    # --- sending -------------------------------------------------------------------------------

    def send_text(self, payload: bytes) -> bool:
        """Send a text frame that must not be lost; `payload` is finished UTF-8 JSON.

        Never waits. A peer too slow for it is closed with 4008; False then, or if it was closed.
        """
        return self.send_encoded(encode_text_frame(payload))

    def send_encoded(self, frame: bytes) -> bool:
        """As `send_text`, for one or more frames that are encoded already."""
        if self.write_event(frame):
            return True
        self.close(CloseCode.TOO_SLOW, "too slow")
        return False

    def send_signal(self, payload: bytes) -> bool:
        """Send a text frame that may be lost; False if the peer is too slow to get it now."""
        return self.write_signal(encode_text_frame(payload))

    def send(self, frame: ServerFrame) -> bool:
        """Send one of the protocol's own frames, as `send_text`."""
        return self.send_text(encode(frame))

    def reply(self, frame_id: FrameId, data: bytes | dict[str, Any] | msgspec.Struct) -> bool:
        """Answer the client's frame `frame_id`; `data` as in `encode_reply`."""
        return self.send_text(encode_reply(frame_id, data))

    def refuse(self, frame_id: FrameId, problem: Problem | BadFrame) -> bool:
        """Send an error about a frame; the socket stays open."""
        return self.send(error_about(frame_id, problem))

    def admit(self, frame_id: FrameId, now: float) -> bool:
        """Count one frame that came at `now`, in seconds of the event loop.

        False where it is one of too many: then an error was sent, or the socket closed.
        """
        verdict = self.budget.spend(now)
        after = self.budget.wait_seconds
        if verdict is BudgetVerdict.GO and self.user_budget is not None:
            verdict = self.user_budget.spend(now)
            after = self.user_budget.wait_seconds
        if verdict is BudgetVerdict.WAIT:
            self.refuse(frame_id, RateLimited("Too many frames", retry_after_seconds=after))
        elif verdict is BudgetVerdict.FLOOD:
            self.close(CloseCode.FLOODING, "too many frames")
        return verdict is BudgetVerdict.GO

    def charge(self, commands: float) -> None:
        """Count as so many commands more a frame that went through and makes that much work."""
        self.budget.charge(commands)
        if self.user_budget is not None:
            self.user_budget.charge(commands)

    async def slow_down(self, frames: float) -> None:
        """Count frames that are never refused; wait while the user has sent too many."""
        if self.user_budget is None:
            return
        self.user_budget.bulk.charge(frames)
        wait_seconds = self.user_budget.bulk.debt_seconds(asyncio.get_running_loop().time())
        if wait_seconds > 0:
            await asyncio.sleep(min(wait_seconds, _LONGEST_WAIT_SECONDS))

    def costly(self) -> AbstractAsyncContextManager[None]:
        """The turn that costly frames of its user take; see `CostlyTurn`. Don't take it twice."""
        return nullcontext() if self.user_budget is None else self.user_budget.costly.take()

    def release(self, first: ServerFrame) -> bool:
        """Send `first`, then all that was kept since `cork`."""
        sent = self.uncork(encode_text_frame(encode(first)))
        if not sent:
            self.close(CloseCode.TOO_SLOW, "too slow")
        return sent

    # --- ending --------------------------------------------------------------------------------

    def close(self, code: CloseCode, reason: str = "", *, last: ServerFrame | None = None) -> None:
        """End the connection: it leaves the hub now, and the socket after what was written.

        `last` is sent first, past anything that is held. Safe to repeat; never waits.
        """
        if self.closed:
            return
        self.closed = True
        self.close_code = code
        self.on_closing(self)
        if last is not None:
            self.write_past(encode_text_frame(encode(last)))
        self.shut(code, reason)

    def on_close(self, callback: Callable[["Connection"], None]) -> None:
        """Have `callback` called once, when the connection is over, on whichever side it ended."""
        self._on_close.append(callback)

    def end(self) -> None:
        """Call the callbacks of `on_close`: the socket is gone. Once, by `SocketHandler`."""
        self.closed = self.ended = True
        self.on_closing(self)
        callbacks, self._on_close = self._on_close, []
        for callback in callbacks:
            try:
                callback(self)
            except Exception:  # one listener's trouble is not the next one's
                log.exception("on_close_failed", conn_id=self.id)
