"""The users that transfer knows: its copy of auth's."""

from typing import Final

from sharezync_shared.users_projection import UsersProjection
from sharezync_transfer.models import SCHEMA

USERS: Final = UsersProjection(SCHEMA)
