"""The updates of gateway nodes are numbered.

Revision: 0007, after 0006
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "gateway_nodes",
        sa.Column("seq", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        schema="auth",
    )


def downgrade() -> None:
    op.drop_column("gateway_nodes", "seq", schema="auth")
