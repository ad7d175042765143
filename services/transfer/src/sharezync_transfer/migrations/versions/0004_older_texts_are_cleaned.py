"""Names of people and notes that are older than their policies are cleaned.

They were kept as they came until there was a policy for each; who changes one meanwhile keeps that.
"""

from collections.abc import Sequence

from alembic import op

from sharezync_shared.names.older import clean_older
from sharezync_shared.names.policies import DISPLAY_NAME, NOTE

revision: str = "0004"
down_revision: str | None = "0003"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    connection = op.get_bind()
    clean_older(connection, "transfer.users", "display_name", DISPLAY_NAME, instead="username")
    clean_older(connection, "transfer.transfers", "note", NOTE)


def downgrade() -> None:
    """Nothing: clean names are right for every version."""
