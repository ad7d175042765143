"""What chat serves to the other services."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Annotated, Final, Literal
from uuid import UUID

from pydantic import Field

from sharezync_shared.calls.operations import Operation
from sharezync_shared.contracts.acquaintances import GET_ACQUAINTANCE, AcquaintanceAsked
from sharezync_shared.contracts.commands import PATH, CommandResults, Commands
from sharezync_shared.contracts.streams import StreamsClient
from sharezync_shared.ids import UserId

MAX_ASKED: Final = 200
"""Others in one question about acquaintances."""


@dataclass(frozen=True, slots=True)
class AcquaintancesAsked:
    """Users whose acquaintance is to be checked."""

    user_id: UserId
    other_ids: Annotated[list[UserId], Field(max_length=MAX_ASKED)]
    looking: Annotated[
        Literal["user", "others"],
        Field(
            description="`user`: which of the others the user may see. `others`: which of them may "
            "see the user"
        ),
    ] = "user"


@dataclass(frozen=True, slots=True)
class AcquaintancesRead:
    """The others who are acquainted with the user."""

    ids: list[UserId]


LIST_ACQUAINTANCES = Operation(
    "POST",
    "/internal/acquaintances",
    AcquaintancesAsked,
    AcquaintancesRead,
    repeatable=True,
    timeout_seconds=5,
)
RUN_COMMANDS = Operation("POST", PATH, Commands, CommandResults)


class ChatClient(StreamsClient):
    """Calls to chat. Each raises ServiceUnavailable."""

    service = "chat"

    async def acquainted(self, user_id: UserId, other_id: UserId) -> bool:
        """Return whether `other_id` agreed to be in a channel with `user_id`."""
        asked = AcquaintanceAsked(user_id, other_id)
        return (await self.call(GET_ACQUAINTANCE, asked)).acquainted

    async def acquaintances(
        self,
        user_id: UserId,
        others: Collection[UserId],
        looking: Literal["user", "others"] = "user",
    ) -> set[UUID]:
        """Return those of at most `MAX_ASKED` others at whom a user may look, or the reverse."""
        asked = AcquaintancesAsked(user_id, list(others), looking)
        return set((await self.call(LIST_ACQUAINTANCES, asked)).ids)
