"""Skeletons of usernames; the service makes those of who is there already, batch by batch.

Not here: in one transaction with all accounts, nobody could log in meanwhile.

Revision: 0003, after 0002
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "users",
        sa.Column("username_skeleton", sa.Text(collation="C"), nullable=True),
        schema="auth",
    )
    op.add_column(
        "users",
        sa.Column("skeleton_version", sa.Integer(), server_default="0", nullable=False),
        schema="auth",
    )
    op.add_column(
        "users",
        sa.Column("skeleton_shared", sa.Boolean(), server_default="false", nullable=False),
        schema="auth",
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
    op.create_index(
        "ix_users_skeleton_shared",
        "users",
        ["username_skeleton"],
        schema="auth",
        postgresql_where=sa.text("skeleton_shared"),
    )


def downgrade() -> None:
    op.drop_index("ix_users_skeleton_shared", table_name="users", schema="auth")
    op.drop_index("uq_users_username_skeleton", table_name="users", schema="auth")
    op.drop_index("ix_users_skeleton_version", table_name="users", schema="auth")
    for column in ("skeleton_shared", "skeleton_version", "username_skeleton"):
        op.drop_column("users", column, schema="auth")
