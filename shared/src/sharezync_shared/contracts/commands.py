"""Commands that came in on sockets: the same in every service that carries some out."""

from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
from pydantic import Field

from sharezync_shared.ids import DeviceId, UserId
from sharezync_shared.names.policies import Parsed
from sharezync_shared.sizes import MAX_COMMANDS

PATH = "/internal/commands"


@dataclass(frozen=True, slots=True)
class Command:
    """A frame that a user sent."""

    user_id: UserId
    kind: Annotated[Parsed, Field(examples=["send_message"], description="Type of the frame")]
    data: Annotated[Any, Field(description="An object, as the frame had it")]
    device_id: DeviceId | None = None
    traceparent: Annotated[
        Parsed | None, Field(description="Trace that the command is part of (W3C Trace Context)")
    ] = None


@dataclass(frozen=True, slots=True)
class Commands:
    """Frames that users sent, in the order of each user."""

    commands: Annotated[list[Command], Field(min_length=1, max_length=MAX_COMMANDS)]


class Refusal(msgspec.Struct):
    """The problem that a command ran into, as REST would answer it."""

    code: str
    detail: str = ""
    status: int = 400
    retry_after_seconds: float | None = None


class CommandResult(msgspec.Struct):
    """What became of a command: its data as finished JSON, as REST answers, or the problem."""

    data: msgspec.Raw = msgspec.Raw(b"null")
    problem: Refusal | None = None


class CommandResults(msgspec.Struct):
    """One result for each command, in their order."""

    results: list[CommandResult]
