"""The tables of the schema `auth`."""

from datetime import datetime
from typing import ClassVar, Final
from uuid import UUID

from sqlalchemy import DateTime, LargeBinary, Text, UniqueConstraint
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel

from sharezync_shared.db.database import metadata_for
from sharezync_shared.events.inbox import inbox_table
from sharezync_shared.events.outbox import outbox_table
from sharezync_shared.ids import UserId, uuid7
from sharezync_shared.streams.log import stream_tables

SCHEMA: Final = "auth"

metadata = metadata_for(SCHEMA)
stream_tables(metadata)
outbox_table(metadata)
inbox_table(metadata)

_AWARE: Final = DateTime(timezone=True)


def account_stream(user_id: UserId | UUID) -> str:
    """Return the stream of what concerns this user's account."""
    return f"account:{user_id}"


class AuthTable(SQLModel, registry=registry(metadata=metadata)):
    """What every table here has in common: this schema."""

    metadata = metadata


class User(AuthTable, table=True):
    """An account. The `_key` columns are what names and addresses are compared by."""

    __tablename__: ClassVar[str] = "users"

    id: UUID = Field(default_factory=uuid7, primary_key=True)
    username: str = Field(sa_type=Text)
    username_key: str = Field(sa_type=Text, unique=True)
    email: str = Field(sa_type=Text)
    email_key: str = Field(sa_type=Text, unique=True)
    password_hash: str = Field(sa_type=Text)
    display_name: str = Field(sa_type=Text)
    bio: str = Field(sa_type=Text, default="")
    avatar_file_id: UUID | None = None
    created_at: datetime = Field(sa_type=_AWARE)
    updated_at: datetime = Field(sa_type=_AWARE)


class Device(AuthTable, table=True):
    """A device of a user. `client_id` is chosen by the client and unique for its user."""

    __tablename__: ClassVar[str] = "devices"
    __table_args__ = (UniqueConstraint("user_id", "client_id"),)

    id: UUID = Field(default_factory=uuid7, primary_key=True)
    user_id: UUID = Field(foreign_key="auth.users.id", ondelete="CASCADE")
    client_id: str = Field(sa_type=Text)
    name: str = Field(sa_type=Text)
    platform: str = Field(sa_type=Text)
    online: bool = False
    created_at: datetime = Field(sa_type=_AWARE)
    last_seen_at: datetime = Field(sa_type=_AWARE)


class Session(AuthTable, table=True):
    """A login. `counter` is the number of its present refresh token (refresh.py)."""

    __tablename__: ClassVar[str] = "sessions"

    id: UUID = Field(default_factory=uuid7, primary_key=True)
    user_id: UUID = Field(foreign_key="auth.users.id", ondelete="CASCADE", index=True)
    device_id: UUID | None = Field(
        default=None, foreign_key="auth.devices.id", ondelete="SET NULL", index=True
    )
    refresh_key: bytes = Field(sa_type=LargeBinary)
    counter: int = 1
    address: str = Field(sa_type=Text)
    user_agent: str = Field(sa_type=Text)
    created_at: datetime = Field(sa_type=_AWARE)
    last_used_at: datetime = Field(sa_type=_AWARE)
    revoked_at: datetime | None = Field(default=None, sa_type=_AWARE, index=True)
    revoked_because: str | None = Field(default=None, sa_type=Text)


class StoredKey(AuthTable, table=True):
    """A key that signs tokens, sealed with a key from SECRET_KEY (keyring.py)."""

    __tablename__: ClassVar[str] = "signing_keys"

    kid: str = Field(sa_type=Text, primary_key=True)
    state: str = Field(sa_type=Text)
    sealed_pem: bytes = Field(sa_type=LargeBinary)
    created_at: datetime = Field(sa_type=_AWARE)
