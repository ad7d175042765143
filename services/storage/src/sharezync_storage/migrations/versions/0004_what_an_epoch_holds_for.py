"""What an epoch holds for.

Revision ID: 0004
Revises: 0003
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("stream_epoch", sa.Column("cluster", sa.Text(), nullable=True), schema="storage")
    for name in ("started_at", "seen_at"):
        moment = sa.Column(name, sa.DateTime(timezone=True), nullable=True)
        op.add_column("stream_epoch", moment, schema="storage")


def downgrade() -> None:
    for name in ("cluster", "started_at", "seen_at"):
        op.drop_column("stream_epoch", name, schema="storage")
