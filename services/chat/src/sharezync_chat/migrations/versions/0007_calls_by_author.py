"""Calls are found by author, so that those of blocked people are passed over when counting."""

from collections.abc import Sequence

from alembic import op

revision: str = "0007"
down_revision: str | None = "0006"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_index(
        "ix_mentions_authors",
        "mentions",
        ["channel_id", "target_id", "author_id", "number"],
        schema="chat",
    )


def downgrade() -> None:
    op.drop_index("ix_mentions_authors", "mentions", schema="chat")
