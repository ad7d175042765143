"""The first tables

Revision: 0001, the first
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
        "inbox",
        sa.Column("consumer", sa.Text(), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("consumer", "event_id", name=op.f("pk_inbox")),
        schema="transfer",
    )
    op.create_index(
        "ix_inbox_at", "inbox", ["at"], unique=False, schema="transfer", postgresql_using="brin"
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
        schema="transfer",
    )
    op.create_index(
        "ix_outbox_occurred_at", "outbox", ["occurred_at"], unique=False, schema="transfer"
    )
    op.create_table(
        "stream_epoch",
        sa.Column("single", sa.Boolean(), nullable=False),
        sa.Column("epoch", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("single", name=op.f("pk_stream_epoch")),
        schema="transfer",
    )
    op.create_table(
        "stream_heads",
        sa.Column("stream", sa.Text(), nullable=False),
        sa.Column("last_seq", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("stream", name=op.f("pk_stream_heads")),
        schema="transfer",
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
        schema="transfer",
    )
    op.create_index(
        "ix_stream_log_at",
        "stream_log",
        ["at"],
        unique=False,
        schema="transfer",
        postgresql_using="brin",
    )
    op.create_table(
        "users",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("username", sa.Text(), nullable=False),
        sa.Column("display_name", sa.Text(), nullable=False),
        sa.Column("names_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deleted", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_users")),
        schema="transfer",
    )
    op.create_table(
        "transfers",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("sender_id", sa.Uuid(), nullable=False),
        sa.Column("sender_device_id", sa.Uuid(), nullable=True),
        sa.Column("client_transfer_id", sa.Text(), nullable=True),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("chunk_size_bytes", sa.Integer(), nullable=False),
        sa.Column("file_count", sa.Integer(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("confirmed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("completed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("released_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("progress_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["sender_id"], ["transfer.users.id"], name=op.f("fk_transfers_sender_id_users")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_transfers")),
        sa.UniqueConstraint(
            "sender_id",
            "client_transfer_id",
            name=op.f("uq_transfers_sender_id_client_transfer_id"),
        ),
        schema="transfer",
    )
    op.create_index(
        "ix_transfers_ended_at",
        "transfers",
        ["ended_at"],
        unique=False,
        schema="transfer",
        postgresql_where=sa.text("ended_at IS NOT NULL AND released_at IS NULL"),
    )
    op.create_index(
        "ix_transfers_expires_at",
        "transfers",
        ["expires_at"],
        unique=False,
        schema="transfer",
        postgresql_where=sa.text("ended_at IS NULL"),
    )
    op.create_index(
        "ix_transfers_sender_id_id",
        "transfers",
        ["sender_id", "id"],
        unique=False,
        schema="transfer",
    )
    op.create_table(
        "files",
        sa.Column("transfer_id", sa.Uuid(), nullable=False),
        sa.Column("index", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("mime", sa.Text(), nullable=False),
        sa.Column("sha256", sa.LargeBinary(), nullable=True),
        sa.Column("upload_id", sa.Uuid(), nullable=False),
        sa.Column("root", sa.LargeBinary(), nullable=True),
        sa.Column("file_id", sa.Uuid(), nullable=True),
        sa.Column("stored_bytes", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["transfer_id"],
            ["transfer.transfers.id"],
            name=op.f("fk_files_transfer_id_transfers"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("transfer_id", "index", name=op.f("pk_files")),
        schema="transfer",
    )
    op.create_table(
        "recipients",
        sa.Column("transfer_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("device_id", sa.Uuid(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("accepted_files", sa.Integer(), nullable=False),
        sa.Column("accepted_bytes", sa.BigInteger(), nullable=False),
        sa.Column("received_bytes", sa.BigInteger(), nullable=False),
        sa.Column("accepted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("completed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["transfer_id"],
            ["transfer.transfers.id"],
            name=op.f("fk_recipients_transfer_id_transfers"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["transfer.users.id"], name=op.f("fk_recipients_user_id_users")
        ),
        sa.PrimaryKeyConstraint("transfer_id", "user_id", name=op.f("pk_recipients")),
        schema="transfer",
    )
    op.create_index(
        "ix_recipients_user_id_transfer_id",
        "recipients",
        ["user_id", "transfer_id"],
        unique=False,
        schema="transfer",
    )
    op.create_table(
        "receipts",
        sa.Column("transfer_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("file_index", sa.Integer(), nullable=False),
        sa.Column("ranges", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("received_bytes", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["transfer_id", "user_id"],
            ["transfer.recipients.transfer_id", "transfer.recipients.user_id"],
            name=op.f("fk_receipts_transfer_id_user_id_recipients"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("transfer_id", "user_id", "file_index", name=op.f("pk_receipts")),
        schema="transfer",
    )


def downgrade() -> None:
    op.drop_table("receipts", schema="transfer")
    op.drop_index("ix_recipients_user_id_transfer_id", table_name="recipients", schema="transfer")
    op.drop_table("recipients", schema="transfer")
    op.drop_table("files", schema="transfer")
    op.drop_index("ix_transfers_sender_id_id", table_name="transfers", schema="transfer")
    op.drop_index(
        "ix_transfers_expires_at",
        table_name="transfers",
        schema="transfer",
        postgresql_where=sa.text("ended_at IS NULL"),
    )
    op.drop_index(
        "ix_transfers_ended_at",
        table_name="transfers",
        schema="transfer",
        postgresql_where=sa.text("ended_at IS NOT NULL AND released_at IS NULL"),
    )
    op.drop_table("transfers", schema="transfer")
    op.drop_table("users", schema="transfer")
    op.drop_index(
        "ix_stream_log_at", table_name="stream_log", schema="transfer", postgresql_using="brin"
    )
    op.drop_table("stream_log", schema="transfer")
    op.drop_table("stream_heads", schema="transfer")
    op.drop_table("stream_epoch", schema="transfer")
    op.drop_index("ix_outbox_occurred_at", table_name="outbox", schema="transfer")
    op.drop_table("outbox", schema="transfer")
    op.drop_index("ix_inbox_at", table_name="inbox", schema="transfer", postgresql_using="brin")
    op.drop_table("inbox", schema="transfer")
