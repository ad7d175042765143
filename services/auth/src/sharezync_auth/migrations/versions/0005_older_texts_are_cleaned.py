"""Names of people and devices that are older than their policies are cleaned.

They were kept as they came until there was a policy for each; who changes one meanwhile keeps that.
"""

from collections.abc import Sequence

from alembic import op

from sharezync_shared.names.older import clean_older
from sharezync_shared.names.policies import DEVICE_NAME, DISPLAY_NAME, PLATFORM

revision: str = "0005"
down_revision: str | None = "0004"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    connection = op.get_bind()
    clean_older(connection, "auth.users", "display_name", DISPLAY_NAME, instead="username")
    clean_older(connection, "auth.devices", "name", DEVICE_NAME, instead="client_id")
    clean_older(connection, "auth.devices", "platform", PLATFORM)


def downgrade() -> None:
    """Nothing: clean names are right for every version."""
