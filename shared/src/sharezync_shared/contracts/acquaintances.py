"""Whether two people know each other: asked of each service in which people meet."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from sharezync_shared.calls.operations import Operation
from sharezync_shared.ids import UserId


@dataclass(frozen=True, slots=True)
class AcquaintanceAsked:
    """Two users whose acquaintance is to be checked."""

    user_id: Annotated[UserId, Field(description="User who asks")]
    other_id: Annotated[UserId, Field(description="User to be seen")]


@dataclass(frozen=True, slots=True)
class AcquaintanceRead:
    """Whether two users are acquainted."""

    acquainted: Annotated[
        bool, Field(examples=[True], description="Whether `user_id` may see `other_id`")
    ]


GET_ACQUAINTANCE = Operation(
    "GET", "/internal/acquaintances", AcquaintanceAsked, AcquaintanceRead, repeatable=True
)
