"""What clients see of auth's things, in answers and in events alike."""

from datetime import datetime
from typing import Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from sharezync_auth.models import Block
from sharezync_shared.contracts.auth import WhoMayAdd


class PublicUser(BaseModel):
    """Public profile of a user."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    username: str = Field(examples=["ada"])
    display_name: str = Field(examples=["Ada Lovelace"])
    bio: str = ""
    avatar_file_id: UUID | None = None
    created_at: datetime


class OwnUser(PublicUser):
    """Profile of the authenticated user."""

    email: str = Field(examples=["ada@example.com"])
    who_may_add: WhoMayAdd = Field(
        default="everybody",
        description="Who may add you to channels and start conversations with you. `known`: users "
        "in a channel or conversation that you have joined, accepted or written to",
    )


class DeviceRead(BaseModel):
    """A device of a user."""

    id: UUID
    client_id: str = Field(examples=["laptop-7f3a"])
    name: str = Field(examples=["Ada's laptop"])
    platform: str = Field(examples=["linux"])
    online: bool
    last_seen_at: datetime


class SessionRead(BaseModel):
    """An active session."""

    id: UUID
    device: DeviceRead | None = Field(description="Device that the session belongs to, if any")
    address: str = Field(
        examples=["203.0.113.7"], description="IP address of the latest token request"
    )
    user_agent: str = Field(description="`User-Agent` of the latest token request")
    created_at: datetime
    last_used_at: datetime
    current: bool = Field(description="Whether this request was made in this session")


class SessionRevokedRead(BaseModel):
    """Event `session.revoked`: a login has ended."""

    session_id: UUID
    reason: str


class BlockRead(BaseModel):
    """A blocked user."""

    user_id: UUID
    blocked_at: datetime

    @classmethod
    def from_block(cls, block: Block) -> Self:
        return cls(user_id=block.blocked_id, blocked_at=block.blocked_at)


class Unblocked(BaseModel):
    """A user who is no longer blocked, or whose account was deleted."""

    user_id: UUID


class UserDeletedRead(BaseModel):
    """Event `user.deleted`: the last one of an account."""

    user_id: UUID
