"""Blocks, and who may add somebody to channels and conversations.

Revision: 0004, after 0003
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "users",
        sa.Column("who_may_add", sa.Text(), server_default="everybody", nullable=False),
        schema="auth",
    )
    op.add_column(
        "users",
        sa.Column("blocks_version", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        schema="auth",
    )
    op.create_check_constraint(
        op.f("ck_users_who_may_add"),
        "users",
        "who_may_add IN ('everybody', 'known', 'nobody')",
        schema="auth",
    )
    op.create_index(
        "ix_users_contact_rules",
        "users",
        ["id"],
        schema="auth",
        postgresql_where=sa.text("blocks_version > 0 OR who_may_add <> 'everybody'"),
    )
    op.create_table(
        "blocks",
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("blocked_id", sa.Uuid(), nullable=False),
        sa.Column("blocked_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"],
            ["auth.users.id"],
            name=op.f("fk_blocks_user_id_users"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["blocked_id"],
            ["auth.users.id"],
            name=op.f("fk_blocks_blocked_id_users"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("user_id", "blocked_id", name=op.f("pk_blocks")),
        schema="auth",
    )
    op.create_index(op.f("ix_blocks_blocked_id"), "blocks", ["blocked_id"], schema="auth")


def downgrade() -> None:
    op.drop_table("blocks", schema="auth")
    op.drop_index("ix_users_contact_rules", table_name="users", schema="auth")
    op.drop_constraint(op.f("ck_users_who_may_add"), "users", schema="auth")
    op.drop_column("users", "blocks_version", schema="auth")
    op.drop_column("users", "who_may_add", schema="auth")
