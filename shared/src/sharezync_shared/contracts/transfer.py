"""What transfer serves to the other services."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from pydantic import AfterValidator, Field, Strict

from sharezync_shared.calls.operations import Operation
from sharezync_shared.contracts.acquaintances import GET_ACQUAINTANCE, AcquaintanceAsked
from sharezync_shared.contracts.commands import (
    PATH,
    CommandResult,
    Commands,
)
from sharezync_shared.contracts.streams import StreamsClient
from sharezync_shared.ids import DeviceId, UserId
from sharezync_shared.names.policies import Parsed
from sharezync_shared.problems import Invalid, NotFound, Problem, ProblemKind
from sharezync_shared.ranges import Pair, Ranges

_Index = Annotated[int, Field(ge=0, le=2**31 - 1)]
FileIndex = Annotated[_Index, Field(description="Number of the file in the transfer, from 0")]
_Chunk = Annotated[_Index, Strict()]
RangePair = tuple[_Chunk, _Chunk]
RangesByFile = Annotated[
    dict[FileIndex, Annotated[list[RangePair], Field(max_length=10_000)]],
    Field(
        max_length=1000,
        examples=[{"0": [[0, 41], [43, 43]]}],
        description="Ranges of chunk indexes by file, both ends inclusive",
    ),
]


def _in_order(found: dict[int, list[RangePair]]) -> dict[int, list[RangePair]]:
    for pairs in found.values():
        if any(first > last for first, last in pairs):
            raise ValueError("A range is [first, last] with first <= last")
    return found


OrderedRangesByFile = Annotated[RangesByFile, AfterValidator(_in_order)]


class CapabilityRefused(Problem):
    """To a gateway. To who showed the token it is `unauthenticated`."""

    kind, slug = ProblemKind.FORBIDDEN, "capability-refused"
    title = "The token isn't valid for this transfer"


@dataclass(frozen=True, slots=True)
class Attach:
    """Who joins: a user, or the owner of a capability token."""

    user_id: UserId | None = None
    device_id: DeviceId | None = None
    token: Annotated[
        Parsed | None,
        Field(min_length=1, max_length=512, description="Capability token, instead of a user"),
    ] = None

    def __post_init__(self) -> None:
        if (self.user_id is None) == (self.token is None):
            raise ValueError("Give either `user_id` or `token`")


@dataclass(frozen=True, slots=True)
class FileShape:
    """The upload of a file at storage, and its chunks."""

    upload_id: Annotated[UUID, Field(description="Id of the upload at storage")]
    size_bytes: int
    chunk_size_bytes: int
    chunk_count: int

    def length(self, index: int) -> int:
        """Return how many bytes a chunk has; only the last may be shorter."""
        return min(self.chunk_size_bytes, self.size_bytes - index * self.chunk_size_bytes)


@dataclass(frozen=True, slots=True)
class AttachedFile(FileShape):
    """The upload of a file at storage, and its chunks."""

    index: int
    accepted: Annotated[
        bool,
        Field(description="Whether this recipient accepted it; always true for the sender"),
    ]


@dataclass(frozen=True, slots=True)
class FileState:
    """State of a file. `root` is null until storage has verified the file."""

    index: int
    stored_bytes: Annotated[int, Field(description="Number of stored bytes")] = 0
    root: Annotated[
        str | None,
        Field(description="SHA-256 over the digests of its chunks in order, once it is verified"),
    ] = None
    name: str = ""
    mime: str = ""


@dataclass(frozen=True, slots=True)
class TransferState:
    """State of a transfer; for a recipient `state` is their own."""

    id: UUID
    state: str
    files: list[FileState] = field(default_factory=list)


@dataclass(frozen=True)
class ParticipationRead:
    """The part of a user in a transfer.

    `user_id` and `device_id` belong into reports of progress. With a token they are its owner's.
    """

    user_id: UserId
    device_id: DeviceId | None
    role: Literal["sender", "recipient"]
    transfer: TransferState
    window_bytes: Annotated[
        int, Field(description="Maximum of unacknowledged bytes on a connection")
    ]
    files: list[AttachedFile]
    received: Annotated[
        dict[int, list[Pair]],
        Field(description="Ranges of chunks that a recipient has confirmed, by accepted file"),
    ] = field(default_factory=dict)

    @property
    def state(self) -> str:
        """Of a recipient their own."""
        return self.transfer.state

    @property
    def confirmed(self) -> dict[int, Ranges]:
        """What a recipient holds of each file they accepted."""
        return {file: Ranges(pairs) for file, pairs in self.received.items()}

    # What is looked up for each chunk is made once: a transfer may have a thousand files.

    @cached_property
    def shapes(self) -> dict[int, AttachedFile]:
        """The files by index: to a recipient those that they accepted."""
        return {file.index: file for file in self.files if file.accepted}

    def file(self, index: int) -> FileState:
        """What was known of a file."""
        return self._states.get(index) or FileState(index)

    @cached_property
    def _states(self) -> dict[int, FileState]:
        return {file.index: file for file in self.transfer.files}

    def stored_bytes(self, file: int) -> int:
        """How much of a file is stored, or more."""
        return self.file(file).stored_bytes


@dataclass(frozen=True, slots=True)
class Report:
    """Progress of a transfer, as its sender or a recipient sees it."""

    user_id: UserId
    device_id: DeviceId | None = None
    stored: Annotated[
        dict[FileIndex, Annotated[int, Field(ge=0, le=2**62)]],
        Field(max_length=1000, description="From the sender: stored bytes of each file"),
    ] = field(default_factory=dict)
    received: Annotated[
        OrderedRangesByFile,
        Field(description="From a recipient: ranges of chunks that they have, by file"),
    ] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Standing:
    """State of a transfer."""

    state: str
    recipient_state: Annotated[
        str | None, Field(description="State for the recipient, if a recipient reports")
    ] = None


class TransferResult(CommandResult):
    """What became of a command. `end` is what `attach` would return, where chunks may now move."""

    end: ParticipationRead | None = None


class TransferResults(msgspec.Struct):
    """One result for each command, in their order."""

    results: list[TransferResult]


ATTACH = Operation(
    "POST",
    "/internal/transfers/{transfer_id}/attach",
    Attach,
    ParticipationRead,
    refusals=(NotFound, CapabilityRefused),
    repeatable=True,
)
REPORT_PROGRESS = Operation(
    "POST",
    "/internal/transfers/{transfer_id}/progress",
    Report,
    Standing,
    refusals=(NotFound,),
    repeatable=True,
)
RUN_COMMANDS = Operation(
    "POST",
    PATH,
    Commands,
    TransferResults,
    refusals=(Invalid,),
    timeout_seconds=40,  # longer than transfer waits for storage to verify files, 25 s
)


class TransferClient(StreamsClient):
    """Calls to transfer. Each raises ServiceUnavailable."""

    service = "transfer"

    async def acquainted(self, user_id: UserId, other_id: UserId) -> bool:
        """Return whether `other_id` once accepted what `user_id` sent."""
        asked = AcquaintanceAsked(user_id, other_id)
        return (await self.call(GET_ACQUAINTANCE, asked)).acquainted
