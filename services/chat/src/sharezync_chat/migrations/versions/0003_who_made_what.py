"""Who made a channel, and the invites of one person: to be counted.

What was made before has no maker, and is not counted: filling it in would hold up every message
while it lasts.
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0003"
down_revision: str | None = "0002"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.add_column("channels", sa.Column("created_by", sa.Uuid(), nullable=True), schema="chat")
    op.create_index(
        "ix_channels_created_by",
        "channels",
        ["created_by"],
        unique=False,
        schema="chat",
        postgresql_where=sa.text("deleted_at IS NULL"),
    )
    op.create_index(
        "ix_invites_created_by",
        "invites",
        ["created_by"],
        unique=False,
        schema="chat",
        postgresql_where=sa.text("revoked_at IS NULL"),
    )


def downgrade() -> None:
    op.drop_index("ix_invites_created_by", table_name="invites", schema="chat")
    op.drop_index("ix_channels_created_by", table_name="channels", schema="chat")
    op.drop_column("channels", "created_by", schema="chat")
