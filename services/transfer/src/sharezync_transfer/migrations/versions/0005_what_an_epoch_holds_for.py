"""What an epoch holds for.

Revision ID: 0005
Revises: 0004
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("stream_epoch", sa.Column("cluster", sa.Text(), nullable=True), schema="transfer")
    for name in ("started_at", "seen_at"):
        moment = sa.Column(name, sa.DateTime(timezone=True), nullable=True)
        op.add_column("stream_epoch", moment, schema="transfer")


def downgrade() -> None:
    for name in ("cluster", "started_at", "seen_at"):
        op.drop_column("stream_epoch", name, schema="transfer")
