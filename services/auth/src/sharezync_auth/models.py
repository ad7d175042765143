"""The tables of the schema `auth`."""

from datetime import datetime
from typing import ClassVar, Final
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    DateTime,
    Index,
    LargeBinary,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel

from sharezync_shared.contracts.auth import WhoMayAdd
from sharezync_shared.ids import UserId, uuid7
from sharezync_shared.service_tables import partial_index, service_metadata

SCHEMA: Final = "auth"


metadata = service_metadata(SCHEMA)

_AWARE: Final = DateTime(timezone=True)
# Compared byte by byte: the order is the same on every server, and one index serves equality,
# prefixes and paging.
_KEY: Final = Text(collation="C")


def account_stream(user_id: UserId | UUID) -> str:
    return f"account:{user_id}"


class AuthTable(SQLModel, registry=registry(metadata=metadata)):
    """What every table here has in common: this schema."""


class User(AuthTable, table=True):
    """An account. The `_key` columns are what names and addresses are compared by.

    `username_skeleton` is what all names that look alike have in common, by the data of
    `skeleton_version` (0: not made yet); older lookalikes share it (`usecases/skeletons.py`).
    `blocks_version` grows with each change to whom they have blocked.
    """

    __tablename__: ClassVar[str] = "users"
    __table_args__ = (
        # What bcrypt hashes are left of an import is asked every minute (passwords.py).
        partial_index("ix_users_bcrypt", "password_hash", where="password_hash LIKE '$2%'"),
        # Whose skeleton is to be made, the oldest first.
        Index("ix_users_skeleton_version", "skeleton_version", "id"),
        partial_index(
            "uq_users_username_skeleton",
            "username_skeleton",
            where="NOT skeleton_shared",
            unique=True,
        ),
        partial_index("ix_users_skeleton_shared", "username_skeleton", where="skeleton_shared"),
        # Few say anything of the kind, and other services ask for all who did.
        partial_index(
            "ix_users_contact_rules", "id", where="blocks_version > 0 OR who_may_add <> 'everybody'"
        ),
        CheckConstraint("who_may_add IN ('everybody', 'known', 'nobody')", name="who_may_add"),
    )

    id: UUID = Field(default_factory=uuid7, primary_key=True)
    username: str = Field(sa_type=Text)
    username_key: str = Field(sa_type=_KEY, unique=True)
    username_skeleton: str | None = Field(default=None, sa_type=_KEY)
    skeleton_version: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    skeleton_shared: bool = Field(default=False, sa_column_kwargs={"server_default": "false"})
    email: str = Field(sa_type=Text)
    email_key: str = Field(sa_type=_KEY, unique=True)
    password_hash: str = Field(sa_type=Text)
    display_name: str = Field(sa_type=Text)
    bio: str = Field(sa_type=Text, default="")
    avatar_file_id: UUID | None = None
    created_at: datetime = Field(sa_type=_AWARE)
    updated_at: datetime = Field(sa_type=_AWARE)
    who_may_add: WhoMayAdd = Field(
        default="everybody", sa_type=Text, sa_column_kwargs={"server_default": "everybody"}
    )
    blocks_version: int = Field(
        default=0, sa_type=BigInteger, sa_column_kwargs={"server_default": text("0")}
    )


class Block(AuthTable, table=True):
    __tablename__: ClassVar[str] = "blocks"

    user_id: UUID = Field(foreign_key="auth.users.id", ondelete="CASCADE", primary_key=True)
    blocked_id: UUID = Field(
        foreign_key="auth.users.id", ondelete="CASCADE", primary_key=True, index=True
    )
    blocked_at: datetime = Field(sa_type=_AWARE)


class DeletedUser(AuthTable, table=True):
    """An account that is gone: the id, for as long as a token of it may be about."""

    __tablename__: ClassVar[str] = "deleted_users"

    user_id: UUID = Field(primary_key=True)
    deleted_at: datetime = Field(sa_type=_AWARE, index=True)


class Device(AuthTable, table=True):
    """A device of a user; online while a gateway that is alive has a `DeviceConnection` of it."""

    __tablename__: ClassVar[str] = "devices"
    __table_args__ = (UniqueConstraint("user_id", "client_id"),)

    id: UUID = Field(default_factory=uuid7, primary_key=True)
    user_id: UUID = Field(foreign_key="auth.users.id", ondelete="CASCADE")
    client_id: str = Field(sa_type=Text)
    name: str = Field(sa_type=Text)
    platform: str = Field(sa_type=Text)
    created_at: datetime = Field(sa_type=_AWARE)
    last_seen_at: datetime = Field(sa_type=_AWARE)


class GatewayNode(AuthTable, table=True):
    """A gateway process, which has a lease from `heard_at` on; `seq` numbers its last accepted
    update.
    """

    __tablename__: ClassVar[str] = "gateway_nodes"

    id: UUID = Field(primary_key=True)
    seq: int = Field(default=0, sa_type=BigInteger, sa_column_kwargs={"server_default": text("0")})
    heard_at: datetime = Field(sa_type=_AWARE)


class DeviceConnection(AuthTable, table=True):
    """A device has at least one socket on a gateway node."""

    __tablename__: ClassVar[str] = "device_connections"

    device_id: UUID = Field(foreign_key="auth.devices.id", ondelete="CASCADE", primary_key=True)
    node_id: UUID = Field(
        foreign_key="auth.gateway_nodes.id", ondelete="CASCADE", primary_key=True, index=True
    )


class Session(AuthTable, table=True):
    """A login. `counter` is the number of its present refresh token, given at `rotated_at`;
    `late_grace_counter` the last number that was given once more, late (refresh.py).
    """

    __tablename__: ClassVar[str] = "sessions"

    id: UUID = Field(default_factory=uuid7, primary_key=True)
    user_id: UUID = Field(foreign_key="auth.users.id", ondelete="CASCADE", index=True)
    device_id: UUID | None = Field(
        default=None, foreign_key="auth.devices.id", ondelete="SET NULL", index=True
    )
    refresh_key: bytes = Field(sa_type=LargeBinary)
    counter: int = 1
    rotated_at: datetime = Field(sa_type=_AWARE)
    late_grace_counter: int = 0
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
    state_since: datetime = Field(sa_type=_AWARE)


class OAuthClient(AuthTable, table=True):
    """A secret with which a service may ask for tokens; several of one name hold at once."""

    __tablename__: ClassVar[str] = "service_clients"

    id: UUID = Field(default_factory=uuid7, primary_key=True)
    name: str = Field(sa_type=Text, index=True)
    # SHA-256 is enough: the secret is 256 random bits, nobody guesses it from its digest.
    secret_digest: bytes = Field(sa_type=LargeBinary)
    created_at: datetime = Field(sa_type=_AWARE)


class Throttle(AuthTable, table=True):
    """Logins that failed lately, by what they have in common (usecases/throttling.py)."""

    __tablename__: ClassVar[str] = "throttles"

    key: str = Field(sa_type=_KEY, primary_key=True)
    failures: int
    failed_at: datetime = Field(sa_type=_AWARE, index=True)
    blocked_until: datetime = Field(sa_type=_AWARE)
