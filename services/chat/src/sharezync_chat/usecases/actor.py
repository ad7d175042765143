"""Who asks for something, and what it is carried out with."""

from dataclasses import dataclass

from sharezync_chat.settings import ChatSettings
from sharezync_shared.contracts.services import Services
from sharezync_shared.ids import UserId
from sharezync_shared.work import UnitsOfWork


@dataclass(frozen=True, slots=True)
class ActingUser:
    """A user on whose behalf a use case runs, and the parts of chat that it needs."""

    user_id: UserId
    work: UnitsOfWork
    limits: ChatSettings
    services: Services
