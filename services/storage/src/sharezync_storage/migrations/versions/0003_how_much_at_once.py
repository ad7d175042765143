"""How many files a user has, and whose a link is: to be counted.

Revision: 0003

A replica of the version before doesn't count what it stores and deletes meanwhile: a user's number
may be off by that much afterwards. It only bounds what is stored, and never goes below nothing.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "usage",
        sa.Column("file_count", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        schema="storage",
    )
    op.execute(
        "UPDATE storage.usage AS u SET file_count = n.count FROM ("
        "SELECT owner_id, count(*) AS count FROM storage.files WHERE deleted_at IS NULL "
        "GROUP BY owner_id) AS n WHERE n.owner_id = u.user_id"
    )
    op.add_column("links", sa.Column("owner_id", sa.Uuid(), nullable=True), schema="storage")
    op.execute(
        "UPDATE storage.links AS l SET owner_id = f.owner_id FROM storage.files AS f "
        "WHERE f.id = l.file_id"
    )
    op.create_index("ix_links_owner_id", "links", ["owner_id"], unique=False, schema="storage")
    op.create_index(
        "ix_files_deleted_at",
        "files",
        ["deleted_at"],
        unique=False,
        schema="storage",
        postgresql_where=sa.text("deleted_at IS NOT NULL"),
    )


def downgrade() -> None:
    op.drop_index("ix_files_deleted_at", table_name="files", schema="storage")
    op.drop_index("ix_links_owner_id", table_name="links", schema="storage")
    op.drop_column("links", "owner_id", schema="storage")
    op.drop_column("usage", "file_count", schema="storage")
