"""The calls that transfers on sockets make to the services, typed, behind one small protocol.

Short JSON calls with the gateway's own credential; the acting user is named in the call. The bytes
of chunks go another way (`chunk_store`).
"""

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, Final, Literal, Protocol, TypeVar
from uuid import UUID

import httpx
import msgspec

from sharezync_gateway.realtime.peers import Outcome, PeerUnavailable
from sharezync_gateway.realtime.transfer.agenda import FileShape
from sharezync_shared.outage_log import OutageLogs
from sharezync_shared.problems import Invalid, NotFound, Problem, Unauthenticated, Unavailable
from sharezync_shared.ranges import Pair, Ranges
from sharezync_shared.tokens.credentials import CredentialsUnavailable

DELIVERING: Final = frozenset({"accepted", "receiving", "verifying"})
"""States of a recipient in which chunks go to them."""
OVER: Final = frozenset({"completed", "failed", "cancelled", "expired", "rejected"})
"""States in which nothing more will happen."""

_COMMAND_SECONDS: Final = 40.0
"""Longer than transfer waits for storage to verify files, 25 s."""


class AttachedFile(msgspec.Struct, frozen=True):
    """A file: where its chunks lie, and how it is cut."""

    index: int
    upload_id: UUID
    size_bytes: int
    chunk_size_bytes: int
    chunk_count: int
    accepted: bool

    @property
    def shape(self) -> FileShape:
        """How it is cut."""
        return FileShape(self.upload_id, self.size_bytes, self.chunk_size_bytes, self.chunk_count)


class FileState(msgspec.Struct, frozen=True):
    """What is known of a file. `root` is None until storage has confirmed it."""

    index: int
    stored_bytes: int = 0
    root: str | None = None
    name: str = ""
    mime: str = ""


class _TransferState(msgspec.Struct, frozen=True):
    id: UUID
    state: str
    files: list[FileState] = []


class Attachment(msgspec.Struct, frozen=True, dict=True):
    """Somebody's end of a transfer, as it stood when it was asked for.

    What is looked up for each chunk is made once: a transfer may have a thousand files.
    """

    role: Literal["sender", "recipient"]
    transfer: _TransferState
    window_bytes: int
    files: list[AttachedFile]
    received: dict[str, list[Pair]] = {}
    user_id: str = ""
    """Whose end it is; told where they showed a token that transfer alone can read."""
    device_id: str | None = None

    @property
    def state(self) -> str:
        """Of a recipient their own."""
        return self.transfer.state

    @property
    def held(self) -> dict[int, Ranges]:
        """What a recipient holds of each file they accepted."""
        return {int(file): Ranges(pairs) for file, pairs in self.received.items()}

    @cached_property
    def shapes(self) -> dict[int, FileShape]:
        """The files by index: to a recipient those that they accepted."""
        return {file.index: file.shape for file in self.files if file.accepted}

    def file(self, index: int) -> FileState:
        """What was known of a file."""
        return self._states.get(index) or FileState(index)

    @cached_property
    def _states(self) -> dict[int, FileState]:
        return {file.index: file for file in self.transfer.files}

    def stored_bytes(self, file: int) -> int:
        """How much of a file is stored, or more."""
        return self.file(file).stored_bytes


class TransferOutcome(Outcome):
    """What became of a command. `end` is what `attach` would return, where chunks may now move."""

    end: Attachment | None = None


class Standing(msgspec.Struct, frozen=True):
    """How a transfer stands after a report."""

    state: str
    recipient_state: str | None = None


class TokenRefused(Unauthenticated):
    """Told with the scheme that was used (RFC 9110 §11.6.1)."""

    def __init__(self) -> None:
        super().__init__(
            "The token isn't valid for this transfer",
            headers={"WWW-Authenticate": 'Transfer error="invalid_token"'},
        )


class ProgressCalls(Protocol):
    """What the parts that move chunks need of the services. Each call raises PeerUnavailable."""

    async def report(
        self,
        transfer_id: UUID,
        user_id: str,
        device_id: str | None,
        *,
        stored: Mapping[int, int],
        received: Mapping[int, Ranges],
    ) -> Standing:
        """Say how far it is: bytes stored of the sender's files, chunks that a recipient holds.

        May be repeated. Raises NotFound where there is nothing to report to any more.
        """
        ...

    async def stored(self, upload_id: UUID) -> Ranges:
        """Return which chunks of an upload are stored. Raises NotFound for one that is gone."""
        ...


class TransferCalls(ProgressCalls, Protocol):
    """What sockets need of transfer and storage. Each call raises PeerUnavailable."""

    async def attach(self, transfer_id: UUID, user_id: str, device_id: str | None) -> Attachment:
        """Return what the user is to a transfer. Raises NotFound for strangers."""
        ...

    async def attach_with(self, transfer_id: UUID, token: str) -> Attachment:
        """Return what a capability token opens, and to whom.

        Raises Unauthenticated where it opens nothing (any more), and NotFound.
        """
        ...

    async def command(
        self, user_id: str, device_id: str | None, kind: str, data: Mapping[str, Any]
    ) -> TransferOutcome:
        """Have transfer carry out a frame. When this raises, it may have been done all the same.

        But for Invalid: what the frame says is nothing that transfer can read.
        """
        ...


class _Results(msgspec.Struct):
    results: list[TransferOutcome]


class _Record(msgspec.Struct):
    stored: list[Pair]


T = TypeVar("T")

_NO_ANSWER: Final = (httpx.HTTPError, CredentialsUnavailable, Unavailable)
"""What a call may end with instead of an answer. Who finds that out tells of it, once for all."""


class HttpTransferCalls:
    """`TransferCalls` over the internal routes of the services."""

    def __init__(self, client: Callable[[str], httpx.AsyncClient]) -> None:
        self._client = client
        self._logs = OutageLogs("calls_failed")

    async def attach(self, transfer_id: UUID, user_id: str, device_id: str | None) -> Attachment:
        return await self._call(
            "transfer",
            "POST",
            f"/internal/transfers/{transfer_id}/attach",
            Attachment,
            {"user_id": user_id, "device_id": device_id},
        )

    async def attach_with(self, transfer_id: UUID, token: str) -> Attachment:
        return await self._call(
            "transfer",
            "POST",
            f"/internal/transfers/{transfer_id}/attach",
            Attachment,
            {"token": token},
            refused=TokenRefused,
        )

    async def report(
        self,
        transfer_id: UUID,
        user_id: str,
        device_id: str | None,
        *,
        stored: Mapping[int, int],
        received: Mapping[int, Ranges],
    ) -> Standing:
        body = {
            "user_id": user_id,
            "device_id": device_id,
            "stored": {str(file): total for file, total in stored.items()},
            "received": {str(file): ranges.pairs() for file, ranges in received.items()},
        }
        path = f"/internal/transfers/{transfer_id}/progress"
        return await self._call("transfer", "POST", path, Standing, body)

    async def command(
        self, user_id: str, device_id: str | None, kind: str, data: Mapping[str, Any]
    ) -> TransferOutcome:
        command = {"user_id": user_id, "device_id": device_id, "kind": kind, "data": data}
        read = await self._call(
            "transfer",
            "POST",
            "/internal/commands",
            _Results,
            {"commands": [command]},
            timeout_seconds=_COMMAND_SECONDS,
            invalid=Invalid,
        )
        if len(read.results) != 1:
            raise PeerUnavailable("transfer", "one result for one command was promised")
        return read.results[0]

    async def stored(self, upload_id: UUID) -> Ranges:
        record = await self._call("storage", "GET", f"/internal/uploads/{upload_id}", _Record)
        return Ranges(record.stored)

    async def _call(
        self,
        service: str,
        method: str,
        path: str,
        shape: type[T],
        body: object = None,
        *,
        timeout_seconds: float | None = None,
        refused: type[Problem] | None = None,
        invalid: type[Problem] | None = None,
    ) -> T:
        """Call a service. `refused` and `invalid`: what a 403 and a 422 are to whoever asked us."""
        try:
            answer = await self._ask(service, method, path, body, timeout_seconds)
            if answer.status_code == httpx.codes.NOT_FOUND:
                raise NotFound
            if refused is not None and answer.status_code == httpx.codes.FORBIDDEN:
                raise refused
            if invalid is not None and answer.status_code == httpx.codes.UNPROCESSABLE_ENTITY:
                raise invalid
            return _decoded(service, f"{method} {path}", answer, shape)
        except PeerUnavailable as error:
            if not isinstance(error.__cause__, _NO_ANSWER):
                self._logs.of(service).failed(error)
            raise

    async def _ask(
        self, service: str, method: str, path: str, body: object, timeout_seconds: float | None
    ) -> httpx.Response:
        options: dict[str, Any] = {}
        if body is not None:
            options["content"] = msgspec.json.encode(body)
            options["headers"] = {"content-type": "application/json"}
        if timeout_seconds is not None:
            options["timeout"] = httpx.Timeout(timeout_seconds, connect=1)
        try:
            return await self._client(service).request(method, path, **options)
        except _NO_ANSWER as error:
            raise PeerUnavailable(service, repr(error)) from error


def _decoded(service: str, asked: str, answer: httpx.Response, shape: type[T]) -> T:
    if not answer.is_success:
        raise PeerUnavailable(service, f"{asked} was answered {answer.status_code}")
    try:
        return msgspec.json.decode(answer.content, type=shape)
    except msgspec.DecodeError as error:
        raise PeerUnavailable(service, f"{asked}: {error}") from error
