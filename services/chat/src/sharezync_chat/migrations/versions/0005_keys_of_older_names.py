"""The keys of names that were known before there were keys: 0002 made them nearly right.

PostgreSQL's `lower` leaves `ß` and `ς` as they are, and in the locale `C` everything but ASCII, so
that nobody could call these people behind an `@` until they changed a name. Who changes one
meanwhile keeps what that made.
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from sharezync_shared.text import key_of

revision: str = "0005"
down_revision: str | None = "0004"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    connection = op.get_bind()
    rows = connection.execute(
        sa.text(
            "SELECT id, username, username_key FROM chat.users "
            "WHERE octet_length(username) > char_length(username)"
        )
    )
    wrong = [
        {"user_id": row.id, "name": row.username, "key": key}
        for row in rows
        if (key := key_of(row.username)) != row.username_key
    ]
    if wrong:
        connection.execute(
            sa.text(
                "UPDATE chat.users SET username_key = :key WHERE id = :user_id AND username = :name"
            ),
            wrong,
        )


def downgrade() -> None:
    """Nothing: the keys are right for every version."""
