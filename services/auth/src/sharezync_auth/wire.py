"""What clients see of auth's things, in answers and in events alike."""

from datetime import datetime
from typing import Self
from uuid import UUID

from pydantic import BaseModel, Field

from sharezync_auth.models import Block, Device, Session, User, WhoMayAdd


class PublicUser(BaseModel):
    """A user as others see them: without the e-mail address."""

    id: UUID
    username: str = Field(examples=["ada"])
    display_name: str = Field(examples=["Ada Lovelace"])
    bio: str = ""
    avatar_file_id: UUID | None = None
    created_at: datetime

    @classmethod
    def of(cls, user: User) -> Self:
        return cls.model_validate(user, from_attributes=True)


class OwnUser(PublicUser):
    """A user as they see themselves."""

    email: str = Field(examples=["ada@example.com"])
    who_may_add: WhoMayAdd = Field(
        default="everybody",
        description="Who may add one to channels and open conversations with one. `known`: in "
        "whose company one has joined a channel, written, or accepted a conversation",
    )


class DeviceRead(BaseModel):
    """A device. `client_id` was chosen by the client and names it in `/ws/{client_id}`."""

    id: UUID
    client_id: str = Field(examples=["laptop-7f3a"])
    name: str = Field(examples=["Ada's laptop"])
    platform: str = Field(examples=["linux"])
    online: bool
    last_seen_at: datetime

    @classmethod
    def of(cls, device: Device, *, online: bool, last_seen_at: datetime) -> Self:
        return cls(
            id=device.id,
            client_id=device.client_id,
            name=device.name,
            platform=device.platform,
            online=online,
            last_seen_at=last_seen_at,
        )


class SessionRead(BaseModel):
    """A login that has not ended."""

    id: UUID
    device: DeviceRead | None
    address: str = Field(examples=["203.0.113.7"])
    user_agent: str
    created_at: datetime
    last_used_at: datetime
    current: bool = Field(description="Whether this very request came with it")

    @classmethod
    def of(cls, session: Session, device: DeviceRead | None, *, current: bool) -> Self:
        return cls(
            id=session.id,
            device=device,
            address=session.address,
            user_agent=session.user_agent,
            created_at=session.created_at,
            last_used_at=session.last_used_at,
            current=current,
        )


class SessionRevoked(BaseModel):
    """Event `session.revoked`: a login has ended."""

    session_id: UUID
    reason: str


class BlockRead(BaseModel):
    """Somebody whom the caller has blocked."""

    user_id: UUID
    blocked_at: datetime

    @classmethod
    def of(cls, block: Block) -> Self:
        return cls(user_id=block.blocked_id, blocked_at=block.blocked_at)


class Unblocked(BaseModel):
    """Somebody who is not blocked any more, or who is gone for good."""

    user_id: UUID


class UserDeleted(BaseModel):
    """Event `user.deleted`: the last one of an account."""

    user_id: UUID
