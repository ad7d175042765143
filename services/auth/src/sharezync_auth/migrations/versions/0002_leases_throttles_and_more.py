"""Leases of gateways, throttles, service clients, deleted users; keys know since when.

Revision: 0002, after 0001
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_NAMES = ("username_key", "email_key")


def upgrade() -> None:
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
    op.create_table(
        "gateway_nodes",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("heard_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_gateway_nodes")),
        schema="auth",
    )
    op.create_table(
        "device_connections",
        sa.Column("device_id", sa.Uuid(), nullable=False),
        sa.Column("node_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["device_id"],
            ["auth.devices.id"],
            name=op.f("fk_device_connections_device_id_devices"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["node_id"],
            ["auth.gateway_nodes.id"],
            name=op.f("fk_device_connections_node_id_gateway_nodes"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("device_id", "node_id", name=op.f("pk_device_connections")),
        schema="auth",
    )
    op.create_index(
        op.f("ix_device_connections_node_id"), "device_connections", ["node_id"], schema="auth"
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

    # What is there already counts as in its state since it was made.
    op.add_column(
        "signing_keys",
        sa.Column("state_since", sa.DateTime(timezone=True), nullable=True),
        schema="auth",
    )
    op.execute("UPDATE auth.signing_keys SET state_since = created_at")
    op.alter_column("signing_keys", "state_since", nullable=False, schema="auth")
    op.add_column(
        "sessions",
        sa.Column("rotated_at", sa.DateTime(timezone=True), nullable=True),
        schema="auth",
    )
    op.execute("UPDATE auth.sessions SET rotated_at = last_used_at")
    op.alter_column("sessions", "rotated_at", nullable=False, schema="auth")
    op.add_column(
        "sessions",
        sa.Column("late_grace_counter", sa.Integer(), server_default="0", nullable=False),
        schema="auth",
    )
    op.alter_column("sessions", "late_grace_counter", server_default=None, schema="auth")

    op.drop_column("devices", "online", schema="auth")
    for name in _NAMES:
        op.alter_column("users", name, type_=sa.Text(collation="C"), schema="auth")
    op.create_index(
        "ix_users_bcrypt",
        "users",
        ["password_hash"],
        schema="auth",
        postgresql_where=sa.text("password_hash LIKE '$2%'"),
    )


def downgrade() -> None:
    op.drop_index("ix_users_bcrypt", table_name="users", schema="auth")
    for name in _NAMES:
        op.alter_column("users", name, type_=sa.Text(), schema="auth")
    op.add_column(
        "devices",
        sa.Column("online", sa.Boolean(), server_default="false", nullable=False),
        schema="auth",
    )
    op.alter_column("devices", "online", server_default=None, schema="auth")
    op.drop_column("sessions", "late_grace_counter", schema="auth")
    op.drop_column("sessions", "rotated_at", schema="auth")
    op.drop_column("signing_keys", "state_since", schema="auth")
    for table in (
        "throttles",
        "service_clients",
        "device_connections",
        "gateway_nodes",
        "deleted_users",
    ):
        op.drop_table(table, schema="auth")
