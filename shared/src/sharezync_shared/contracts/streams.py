"""Where streams stand and what they hold: the same in every service that owns some."""

from dataclasses import dataclass
from typing import Annotated, Final

from pydantic import Field, InstanceOf, WithJsonSchema

from sharezync_shared.calls.client import ServiceClient
from sharezync_shared.calls.operations import Operation
from sharezync_shared.ids import UserId
from sharezync_shared.names.policies import verbatim
from sharezync_shared.streams.frames import Control

_Control = Annotated[  # a struct, which pydantic has to be given a schema of
    Control, InstanceOf(), WithJsonSchema({"type": "object", "additionalProperties": True})
]


@dataclass(frozen=True, slots=True)
class HeadsOf:
    """A user whose streams are wanted."""

    user_id: Annotated[UserId, Field(description="Id of the user")]


@dataclass(frozen=True, slots=True)
class Heads:
    """The latest position of each stream of a user."""

    streams: Annotated[
        dict[str, tuple[str, int]],
        Field(
            description="Epoch and latest `seq` of each stream, by name",
            examples=[{"channel:01936f0c-2b7e-7d33-8d7a-0c8e3a7c1f10": ("9c1d03aa", 4711)}],
        ),
    ]


@dataclass(frozen=True, slots=True)
class ReplayFrom:
    """A position in a stream."""

    stream: Annotated[str, verbatim("stream", 200), Field(description="Name of the stream")]
    after: Annotated[
        int, Field(ge=0, le=2**63 - 1, description="The last `seq` that the client has")
    ]
    epoch: Annotated[
        Annotated[str, verbatim("epoch", 64)] | None,
        Field(description="The epoch that `after` belongs to"),
    ] = None


@dataclass(frozen=True, slots=True)
class Replay:
    """The frames after a position; `frames`, `seqs` and `controls` belong together by index."""

    stream: Annotated[str, Field(description="Name of the stream")]
    epoch: Annotated[str, Field(description="Current epoch of the stream")]
    head: Annotated[int, Field(description="Latest `seq` of the stream")]
    reset: Annotated[
        bool,
        Field(
            description="Whether the position can't be resumed from, so that the client must reload"
        ),
    ]
    frames: Annotated[list[str], Field(description="Finished text frames, in the order of `seq`")]
    seqs: Annotated[list[int], Field(description="The `seq` of each frame")]
    controls: Annotated[
        list[_Control | None],
        Field(description="What the gateway must do for each frame; null for most"),
    ]


MAX_STREAMS_ASKED: Final = 1000
"""Streams in one question for changes: some 60 KB, and two index scans."""


@dataclass(frozen=True, slots=True)
class ChangesAfter:
    """Positions in many streams."""

    after: Annotated[
        dict[Annotated[str, verbatim("stream", 200)], Annotated[int, Field(ge=0, le=2**63 - 1)]],
        Field(max_length=MAX_STREAMS_ASKED, description="The last `seq` known of each stream"),
    ]


@dataclass(frozen=True, slots=True)
class Changes:
    """What is new in many streams; `streams`, `seqs`, `frames` and `controls` belong together."""

    epoch: Annotated[str, Field(description="Current epoch of all streams of the service")]
    heads: Annotated[
        dict[str, int],
        Field(description="Latest `seq` of the streams asked about that are further on"),
    ]
    streams: Annotated[list[str], Field(description="The stream of each frame")]
    seqs: Annotated[list[int], Field(description="The `seq` of each frame")]
    frames: Annotated[
        list[str],
        Field(
            description="Finished text frames, each stream's in the order of `seq` and without a "
            "gap; the last ones are missing where they are too many for one response"
        ),
    ]
    controls: Annotated[
        list[_Control | None],
        Field(description="What the gateway must do for each frame; null for most"),
    ]
    publishing: Annotated[
        bool, Field(description="Whether the service can hand frames to the broker at present")
    ]


GET_HEADS = Operation("GET", "/internal/streams/heads", HeadsOf, Heads, repeatable=True)
REPLAY = Operation("GET", "/internal/streams/replay", ReplayFrom, Replay, repeatable=True)
CHANGES = Operation("POST", "/internal/streams/changes", ChangesAfter, Changes, repeatable=True)


class StreamsClient(ServiceClient):
    """What every service answers that owns streams."""

    async def heads(self, user_id: UserId) -> Heads:
        """Return where each stream of a user stands."""
        return await self.call(GET_HEADS, HeadsOf(user_id))

    async def replay(self, stream: str, epoch: str, after: int) -> Replay:
        """Return what the log of a stream has after a position."""
        return await self.call(REPLAY, ReplayFrom(stream, after, epoch))

    async def changes(self, after: dict[str, int]) -> Changes:
        """Return what is new in streams, at most `MAX_STREAMS_ASKED`; none: how the owner fares."""
        return await self.call(CHANGES, ChangesAfter(after))
