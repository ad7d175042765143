"""What people say of themselves is cleaned where it is older than its policy.

It was kept as it came until there was one; who changes it meanwhile keeps that.
"""

from collections.abc import Sequence

from alembic import op

from sharezync_shared.names.older import clean_older
from sharezync_shared.names.policies import BIO

revision: str = "0006"
down_revision: str | None = "0005"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    clean_older(op.get_bind(), "auth.users", "bio", BIO)


def downgrade() -> None:
    """Nothing: clean texts are right for every version."""
