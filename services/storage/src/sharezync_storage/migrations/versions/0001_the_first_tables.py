"""The first tables.

Revision: 0001
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "deletions",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("store_key", sa.Text(), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deletions")),
        schema="storage",
    )
    op.create_index("ix_deletions_due_at", "deletions", ["due_at"], unique=False, schema="storage")
    op.create_table(
        "files",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("owner_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("mime", sa.Text(), nullable=False),
        sa.Column("sha256", sa.LargeBinary(), nullable=True),
        sa.Column("root", sa.LargeBinary(), nullable=True),
        sa.Column("store_key", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_files")),
        sa.UniqueConstraint("store_key", name=op.f("uq_files_store_key")),
        schema="storage",
    )
    op.create_index(
        "ix_files_owner_id_id",
        "files",
        ["owner_id", "id"],
        unique=False,
        schema="storage",
        postgresql_where=sa.text("deleted_at IS NULL"),
    )
    op.create_table(
        "inbox",
        sa.Column("consumer", sa.Text(), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("consumer", "event_id", name=op.f("pk_inbox")),
        schema="storage",
    )
    op.create_index(
        "ix_inbox_at", "inbox", ["at"], unique=False, schema="storage", postgresql_using="brin"
    )
    op.create_table(
        "outbox",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column(
            "headers", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True
        ),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outbox")),
        schema="storage",
    )
    op.create_index(
        "ix_outbox_occurred_at", "outbox", ["occurred_at"], unique=False, schema="storage"
    )
    op.create_table(
        "stream_epoch",
        sa.Column("single", sa.Boolean(), nullable=False),
        sa.Column("epoch", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("single", name=op.f("pk_stream_epoch")),
        schema="storage",
    )
    op.create_table(
        "stream_heads",
        sa.Column("stream", sa.Text(), nullable=False),
        sa.Column("last_seq", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("stream", name=op.f("pk_stream_heads")),
        schema="storage",
    )
    op.create_table(
        "stream_log",
        sa.Column("stream", sa.Text(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column(
            "control", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True
        ),
        sa.PrimaryKeyConstraint("stream", "seq", name=op.f("pk_stream_log")),
        schema="storage",
    )
    op.create_index(
        "ix_stream_log_at",
        "stream_log",
        ["at"],
        unique=False,
        schema="storage",
        postgresql_using="brin",
    )
    op.create_table(
        "uploads",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("owner_id", sa.Uuid(), nullable=False),
        sa.Column("door", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("mime", sa.Text(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=True),
        sa.Column("chunk_size_bytes", sa.Integer(), nullable=True),
        sa.Column("sha256", sa.LargeBinary(), nullable=True),
        sa.Column("root", sa.LargeBinary(), nullable=True),
        sa.Column("store_key", sa.Text(), nullable=False),
        sa.Column("reserved_bytes", sa.BigInteger(), nullable=False),
        sa.Column("stored_bytes", sa.BigInteger(), nullable=False),
        sa.Column("through", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("reserved_bytes >= 0", name=op.f("ck_uploads_reserved")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_uploads")),
        schema="storage",
    )
    op.create_index(
        "ix_uploads_expires_at",
        "uploads",
        ["expires_at"],
        unique=False,
        schema="storage",
        postgresql_where=sa.text("expires_at IS NOT NULL"),
    )
    op.create_index("ix_uploads_owner_id", "uploads", ["owner_id"], unique=False, schema="storage")
    op.create_table(
        "usage",
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("used_bytes", sa.BigInteger(), nullable=False),
        sa.Column("reserved_bytes", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("reserved_bytes >= 0", name=op.f("ck_usage_reserved")),
        sa.CheckConstraint("used_bytes >= 0", name=op.f("ck_usage_used")),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_usage")),
        schema="storage",
    )
    op.create_table(
        "chunks",
        sa.Column("upload_id", sa.Uuid(), nullable=False),
        sa.Column("index", sa.Integer(), nullable=False),
        sa.Column("size_bytes", sa.Integer(), nullable=False),
        sa.Column("sha256", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["upload_id"],
            ["storage.uploads.id"],
            name=op.f("fk_chunks_upload_id_uploads"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("upload_id", "index", name=op.f("pk_chunks")),
        schema="storage",
    )


def downgrade() -> None:
    op.drop_table("chunks", schema="storage")
    op.drop_table("usage", schema="storage")
    op.drop_index("ix_uploads_owner_id", table_name="uploads", schema="storage")
    op.drop_index(
        "ix_uploads_expires_at",
        table_name="uploads",
        schema="storage",
        postgresql_where=sa.text("expires_at IS NOT NULL"),
    )
    op.drop_table("uploads", schema="storage")
    op.drop_index(
        "ix_stream_log_at", table_name="stream_log", schema="storage", postgresql_using="brin"
    )
    op.drop_table("stream_log", schema="storage")
    op.drop_table("stream_heads", schema="storage")
    op.drop_table("stream_epoch", schema="storage")
    op.drop_index("ix_outbox_occurred_at", table_name="outbox", schema="storage")
    op.drop_table("outbox", schema="storage")
    op.drop_index("ix_inbox_at", table_name="inbox", schema="storage", postgresql_using="brin")
    op.drop_table("inbox", schema="storage")
    op.drop_index(
        "ix_files_owner_id_id",
        table_name="files",
        schema="storage",
        postgresql_where=sa.text("deleted_at IS NULL"),
    )
    op.drop_table("files", schema="storage")
    op.drop_index("ix_deletions_due_at", table_name="deletions", schema="storage")
    op.drop_table("deletions", schema="storage")
