"""Who edited a message is kept: its author, or the owner of its channel."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0008"
down_revision: str | None = "0007"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    # Nullable and without a default: no row is written, and a replica of before goes on writing.
    op.add_column("messages", sa.Column("edited_by", sa.Uuid(), nullable=True), schema="chat")
    op.add_column("message_edits", sa.Column("written_by", sa.Uuid(), nullable=True), schema="chat")


def downgrade() -> None:
    op.drop_column("message_edits", "written_by", schema="chat")
    op.drop_column("messages", "edited_by", schema="chat")
