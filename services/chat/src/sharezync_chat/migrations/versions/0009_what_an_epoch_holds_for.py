"""What an epoch holds for.

Revision ID: 0009
Revises: 0008
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("stream_epoch", sa.Column("cluster", sa.Text(), nullable=True), schema="chat")
    for name in ("started_at", "seen_at"):
        moment = sa.Column(name, sa.DateTime(timezone=True), nullable=True)
        op.add_column("stream_epoch", moment, schema="chat")


def downgrade() -> None:
    for name in ("cluster", "started_at", "seen_at"):
        op.drop_column("stream_epoch", name, schema="chat")
