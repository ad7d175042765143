"""What an epoch holds for.

Revision ID: 0008
Revises: 0007
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("stream_epoch", sa.Column("cluster", sa.Text(), nullable=True), schema="auth")
    for name in ("started_at", "seen_at"):
        moment = sa.Column(name, sa.DateTime(timezone=True), nullable=True)
        op.add_column("stream_epoch", moment, schema="auth")


def downgrade() -> None:
    for name in ("cluster", "started_at", "seen_at"):
        op.drop_column("stream_epoch", name, schema="auth")
