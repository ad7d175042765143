"""The client's body on its way up: counted, timed, and honest about how it ended."""

import asyncio
from collections.abc import Callable
from typing import Final

from starlette.types import Message, Receive

from sharezync_gateway.errors import ClientTooSlow
from sharezync_shared.problems import Problem, TooLarge, Unavailable

_GONE: Final = "http.disconnect"


class RequestBody:
    """One request's body, read message by message; or gathered first, where it is a small one.

    When the client leaves, sends more than `limit_bytes` or nothing for `idle_seconds`, `receive`
    says `http.disconnect`: the service must not take what came so far for the whole. `gone` and
    `failure` say which of these it was.
    """

    __slots__ = (
        "_buffered", "_idle_seconds", "_limit_bytes", "_receive", "asked", "bytes_read", "complete",
        "expects_continue", "failure", "gone", "length", "on_bytes",
    )  # fmt: skip

    def __init__(
        self,
        receive: Receive,
        *,
        length: int | None,
        limit_bytes: int | None,
        idle_seconds: float,
        expects_continue: bool = False,
    ) -> None:
        """`length` is 0 for no body and None for one of unknown length; None is no limit.

        Raises TooLarge if the length alone says that it is.
        """
        if limit_bytes is not None and (length or 0) > limit_bytes:
            raise _too_large(limit_bytes)
        self._receive = receive
        self._limit_bytes = limit_bytes
        self._idle_seconds = idle_seconds
        self._buffered: bytes | None = None
        self.length = length
        self.expects_continue = expects_continue
        self.bytes_read = 0
        self.on_bytes: Callable[[int], None] | None = None
        """Called with the size of each piece that came."""
        self.asked = False
        """Whether the client was asked for anything, and sent 100 Continue if it waits for that."""
        self.complete = length == 0
        self.gone = False
        self.failure: Problem | None = None

    @classmethod
    def none(cls) -> "RequestBody":
        """Return the body of a request of our own: none, from a client that stays."""
        return cls(_never, length=0, limit_bytes=0, idle_seconds=1)

    async def receive(self) -> Message:
        """Return the next `http.request` message, or `http.disconnect`; an ASGI `receive`.

        After the last message of the body it waits until the client leaves.
        """
        if self.gone or self.failure is not None:
            return {"type": _GONE}
        if self.complete:
            return await self._after_the_end()
        self.asked = True
        message: Message = {"type": _GONE}
        try:
            async with asyncio.timeout(self._idle_seconds):
                message = await self._receive()
        except TimeoutError:
            self.failure = ClientTooSlow(f"No bytes were received for {self._idle_seconds:g} s")
            return message
        return message if self._took(message) else {"type": _GONE}

    async def gather(self, seconds: float, keep: Callable[[int], bool]) -> bool:
        """Read all of it into memory, within `seconds`; False if it broke off (`gone`, `failure`).

        Then it is `complete`, of a known length, and not given out yet. `keep` is asked whether so
        many more bytes may be held; where they may not, Unavailable is the failure.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        parts: list[bytes] = []
        self.asked = True
        try:
            async with asyncio.timeout_at(deadline) as timeout:
                while not self.complete:
                    timeout.reschedule(min(deadline, loop.time() + self._idle_seconds))
                    if self._took(message := await self._receive()):
                        if not keep(len(body := message.get("body", b""))):
                            self.failure = Unavailable("Too many request bodies at once")
                            return False
                        parts.append(body)
                    else:
                        return False
        except TimeoutError:
            self.failure = ClientTooSlow(f"The body wasn't complete within {seconds:g} s")
            return False
        self._buffered = parts[0] if len(parts) == 1 else b"".join(parts)
        self.length = len(self._buffered)
        return True

    @property
    def buffered(self) -> bool:
        """Whether it was gathered, and not given out yet."""
        return self._buffered is not None

    async def read(self) -> tuple[bytes, bool]:
        """Return the body, for small ones, and whether it is whole: False if it broke off."""
        if self._buffered is not None:
            buffered, self._buffered = self._buffered, None
            return buffered, True
        parts: list[bytes] = []
        whole = True
        while whole and not self.complete:
            message = await self.receive()
            whole = message["type"] != _GONE
            parts.append(message.get("body", b""))
        return parts[0] if len(parts) == 1 else b"".join(parts), whole

    def _took(self, message: Message) -> bool:
        """Count a message; False where it is none of the body, or one too many."""
        if message["type"] == _GONE:
            self.gone = True
            return False
        size_bytes = len(message.get("body", b""))
        self.bytes_read += size_bytes
        if self.on_bytes is not None:
            self.on_bytes(size_bytes)
        if self._limit_bytes is not None and self.bytes_read > self._limit_bytes:
            self.failure = _too_large(self._limit_bytes)
            return False
        self.complete = not message.get("more_body", False)
        return True

    async def _after_the_end(self) -> Message:
        if self._buffered is not None:
            buffered, self._buffered = self._buffered, None
            return {"type": "http.request", "body": buffered, "more_body": False}
        if not self.asked and self.length == 0:
            self.asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        while (message := await self._receive())["type"] != _GONE:
            pass  # servers send an event for an empty body too
        self.gone = True
        return message


def _too_large(limit_bytes: int) -> TooLarge:
    return TooLarge(f"At most {limit_bytes} bytes are accepted", limit_bytes=limit_bytes)


async def _never() -> Message:
    await asyncio.Event().wait()
    return {"type": _GONE}
