"""Names and topics that are older than their policies are cleaned.

They were kept as they came until there was a policy for each; who changes one meanwhile keeps that.
"""

from collections.abc import Sequence

from alembic import op

from sharezync_shared.names.older import clean_older
from sharezync_shared.names.policies import CHANNEL_NAME, DISPLAY_NAME, TOPIC

revision: str = "0006"
down_revision: str | None = "0005"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    connection = op.get_bind()
    clean_older(connection, "chat.users", "display_name", DISPLAY_NAME, instead="username")
    clean_older(connection, "chat.channels", "name", CHANNEL_NAME, instead="'channel'")
    clean_older(connection, "chat.channels", "topic", TOPIC)


def downgrade() -> None:
    """Nothing: clean names are right for every version."""
