"""The tables of the first release.

Replaces seven migrations that no release had, and has the revision id of the last of them, so that
a database at that revision needs nothing. The next revision has the next number.
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0007"
down_revision: str | None = None
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

# In the order in which they are made, which is that of their foreign keys.
_TABLES = (
    "users", "blocks", "deleted_users",
    "devices", "sessions", "gateway_nodes", "device_connections",
    "signing_keys", "service_clients", "throttles",
    "stream_epoch", "stream_heads", "stream_log", "outbox", "inbox",
)  # fmt: skip


def upgrade() -> None:
    _accounts()
    _devices_and_sessions()
    _keys_and_limits()
    _streams_and_events()


def downgrade() -> None:
    for table in reversed(_TABLES):
        op.drop_table(table, schema="auth")


def _accounts() -> None:
    """Accounts, whom they block, and those that were deleted."""
    op.create_table(
        "users",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("username", sa.Text(), nullable=False),
        sa.Column("username_key", sa.Text(collation="C"), nullable=False),
        sa.Column("username_skeleton", sa.Text(collation="C"), nullable=True),
        sa.Column("skeleton_version", sa.Integer(), server_default="0", nullable=False),
        sa.Column("skeleton_shared", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("email_key", sa.Text(collation="C"), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=False),
        sa.Column("display_name", sa.Text(), nullable=False),
        sa.Column("bio", sa.Text(), nullable=False),
        sa.Column("avatar_file_id", sa.Uuid(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("who_may_add", sa.Text(), server_default="everybody", nullable=False),
        sa.Column("blocks_version", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_users")),
        sa.UniqueConstraint("email_key", name=op.f("uq_users_email_key")),
        sa.UniqueConstraint("username_key", name=op.f("uq_users_username_key")),
        sa.CheckConstraint(
            "who_may_add IN ('everybody', 'known', 'nobody')", name=op.f("ck_users_who_may_add")
        ),
        schema="auth",
    )
    op.create_index(
        "ix_users_bcrypt",
        "users",
        ["password_hash"],
        schema="auth",
        postgresql_where=sa.text("password_hash LIKE '$2%'"),
    )
    op.create_index(
        "ix_users_contact_rules",
        "users",
        ["id"],
        schema="auth",
        postgresql_where=sa.text("blocks_version > 0 OR who_may_add <> 'everybody'"),
    )
    op.create_index(
        "ix_users_skeleton_shared",
        "users",
        ["username_skeleton"],
        schema="auth",
        postgresql_where=sa.text("skeleton_shared"),
    )
    op.create_index("ix_users_skeleton_version", "users", ["skeleton_version", "id"], schema="auth")
    op.create_index(
        "uq_users_username_skeleton",
        "users",
        ["username_skeleton"],
        unique=True,
        schema="auth",
        postgresql_where=sa.text("NOT skeleton_shared"),
    )
    op.create_table(
        "blocks",
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("blocked_id", sa.Uuid(), nullable=False),
        sa.Column("blocked_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("user_id", "blocked_id", name=op.f("pk_blocks")),
        _child_of("users", "fk_blocks_blocked_id_users", "blocked_id"),
        _child_of("users", "fk_blocks_user_id_users", "user_id"),
        schema="auth",
    )
    op.create_index(op.f("ix_blocks_blocked_id"), "blocks", ["blocked_id"], schema="auth")
    op.create_table(
        "deleted_users",
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_deleted_users")),
        schema="auth",
    )
    op.create_index(
        op.f("ix_deleted_users_deleted_at"), "deleted_users", ["deleted_at"], schema="auth"
    )


def _devices_and_sessions() -> None:
    """Where people are logged in, and which devices are connected to which gateway."""
    op.create_table(
        "devices",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("client_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("platform", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_devices")),
        sa.UniqueConstraint("user_id", "client_id", name=op.f("uq_devices_user_id_client_id")),
        _child_of("users", "fk_devices_user_id_users", "user_id"),
        schema="auth",
    )
    op.create_table(
        "sessions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("device_id", sa.Uuid(), nullable=True),
        sa.Column("refresh_key", sa.LargeBinary(), nullable=False),
        sa.Column("counter", sa.Integer(), nullable=False),
        sa.Column("rotated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("late_grace_counter", sa.Integer(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("user_agent", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_because", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sessions")),
        sa.ForeignKeyConstraint(
            ["device_id"],
            ["auth.devices.id"],
            name=op.f("fk_sessions_device_id_devices"),
            ondelete="SET NULL",
        ),
        _child_of("users", "fk_sessions_user_id_users", "user_id"),
        schema="auth",
    )
    op.create_index(op.f("ix_sessions_device_id"), "sessions", ["device_id"], schema="auth")
    op.create_index(op.f("ix_sessions_revoked_at"), "sessions", ["revoked_at"], schema="auth")
    op.create_index(op.f("ix_sessions_user_id"), "sessions", ["user_id"], schema="auth")
    op.create_table(
        "gateway_nodes",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("seq", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("heard_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_gateway_nodes")),
        schema="auth",
    )
    op.create_table(
        "device_connections",
        sa.Column("device_id", sa.Uuid(), nullable=False),
        sa.Column("node_id", sa.Uuid(), nullable=False),
        sa.PrimaryKeyConstraint("device_id", "node_id", name=op.f("pk_device_connections")),
        _child_of("devices", "fk_device_connections_device_id_devices", "device_id"),
        _child_of("gateway_nodes", "fk_device_connections_node_id_gateway_nodes", "node_id"),
        schema="auth",
    )
    op.create_index(
        op.f("ix_device_connections_node_id"), "device_connections", ["node_id"], schema="auth"
    )


def _keys_and_limits() -> None:
    """Keys that sign tokens, services and their secrets, wrong passwords."""
    op.create_table(
        "signing_keys",
        sa.Column("kid", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("sealed_pem", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state_since", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("kid", name=op.f("pk_signing_keys")),
        schema="auth",
    )
    op.create_table(
        "service_clients",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("secret_digest", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_service_clients")),
        schema="auth",
    )
    op.create_index(op.f("ix_service_clients_name"), "service_clients", ["name"], schema="auth")
    op.create_table(
        "throttles",
        sa.Column("key", sa.Text(collation="C"), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("failed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("blocked_until", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_throttles")),
        schema="auth",
    )
    op.create_index(op.f("ix_throttles_failed_at"), "throttles", ["failed_at"], schema="auth")


def _streams_and_events() -> None:
    """Logs of streams; what is to be published, and what was handled."""
    op.create_table(
        "stream_epoch",
        sa.Column("single", sa.Boolean(), nullable=False),
        sa.Column("epoch", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("single", name=op.f("pk_stream_epoch")),
        schema="auth",
    )
    op.create_table(
        "stream_heads",
        sa.Column("stream", sa.Text(), nullable=False),
        sa.Column("last_seq", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("stream", name=op.f("pk_stream_heads")),
        schema="auth",
    )
    op.create_table(
        "stream_log",
        sa.Column("stream", sa.Text(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column(
            "control", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True
        ),
        sa.PrimaryKeyConstraint("stream", "seq", name=op.f("pk_stream_log")),
        schema="auth",
    )
    op.create_index(
        "ix_stream_log_at", "stream_log", ["at"], schema="auth", postgresql_using="brin"
    )
    op.create_table(
        "outbox",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column(
            "headers", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True
        ),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outbox")),
        schema="auth",
    )
    op.create_index("ix_outbox_occurred_at", "outbox", ["occurred_at"], schema="auth")
    op.create_table(
        "inbox",
        sa.Column("consumer", sa.Text(), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("consumer", "event_id", name=op.f("pk_inbox")),
        schema="auth",
    )
    op.create_index("ix_inbox_at", "inbox", ["at"], schema="auth", postgresql_using="brin")


def _child_of(parent: str, name: str, column: str) -> sa.ForeignKeyConstraint:
    """Return a foreign key whose row goes with the parent's."""
    return sa.ForeignKeyConstraint(
        [column], [f"auth.{parent}.id"], name=op.f(name), ondelete="CASCADE"
    )
