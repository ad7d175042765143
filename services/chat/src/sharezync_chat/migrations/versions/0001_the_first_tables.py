"""The first tables."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0001"
down_revision: str | None = None
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "channels",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("owner_id", sa.Uuid(), nullable=True),
        sa.Column("member_count", sa.Integer(), nullable=False),
        sa.Column("message_count", sa.BigInteger(), nullable=False),
        sa.Column("archived", sa.Boolean(), nullable=False),
        sa.Column("conversation_key", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "kind IN ('public', 'private', 'direct', 'group')", name=op.f("ck_channels_kind")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_channels")),
        sa.UniqueConstraint("conversation_key", name=op.f("uq_channels_conversation_key")),
        schema="chat",
    )
    op.create_index(
        "ix_channels_deleted_at",
        "channels",
        ["deleted_at"],
        unique=False,
        schema="chat",
        postgresql_where=sa.text("deleted_at IS NOT NULL"),
    )
    op.create_table(
        "inbox",
        sa.Column("consumer", sa.Text(), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("consumer", "event_id", name=op.f("pk_inbox")),
        schema="chat",
    )
    op.create_index(
        "ix_inbox_at", "inbox", ["at"], unique=False, schema="chat", postgresql_using="brin"
    )
    op.create_table(
        "messages",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("channel_id", sa.Uuid(), nullable=False),
        sa.Column("author_id", sa.Uuid(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("reply_to", sa.Uuid(), nullable=True),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("epoch", sa.Text(), nullable=False),
        sa.Column("client_message_id", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("edited_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_messages")),
        sa.UniqueConstraint(
            "author_id", "client_message_id", name=op.f("uq_messages_author_id_client_message_id")
        ),
        sa.UniqueConstraint("channel_id", "seq", name=op.f("uq_messages_channel_id_seq")),
        schema="chat",
    )
    op.create_index(
        "ix_messages_author_id_id", "messages", ["author_id", "id"], unique=False, schema="chat"
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
        schema="chat",
    )
    op.create_index("ix_outbox_occurred_at", "outbox", ["occurred_at"], unique=False, schema="chat")
    op.create_table(
        "stream_epoch",
        sa.Column("single", sa.Boolean(), nullable=False),
        sa.Column("epoch", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("single", name=op.f("pk_stream_epoch")),
        schema="chat",
    )
    op.create_table(
        "stream_heads",
        sa.Column("stream", sa.Text(), nullable=False),
        sa.Column("last_seq", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("stream", name=op.f("pk_stream_heads")),
        schema="chat",
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
        schema="chat",
    )
    op.create_index(
        "ix_stream_log_at",
        "stream_log",
        ["at"],
        unique=False,
        schema="chat",
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
        schema="chat",
    )
    op.create_table(
        "attachments",
        sa.Column("message_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("file_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("mime", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["message_id"],
            ["chat.messages.id"],
            name=op.f("fk_attachments_message_id_messages"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("message_id", "position", name=op.f("pk_attachments")),
        schema="chat",
    )
    op.create_index(
        "ix_attachments_file_id", "attachments", ["file_id"], unique=False, schema="chat"
    )
    op.create_table(
        "members",
        sa.Column("channel_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("joined_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_read_seq", sa.BigInteger(), nullable=False),
        sa.Column("last_read_number", sa.BigInteger(), nullable=False),
        sa.Column("muted", sa.Boolean(), nullable=False),
        sa.CheckConstraint("role IN ('owner', 'admin', 'member')", name=op.f("ck_members_role")),
        sa.ForeignKeyConstraint(
            ["channel_id"],
            ["chat.channels.id"],
            name=op.f("fk_members_channel_id_channels"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["chat.users.id"], name=op.f("fk_members_user_id_users")
        ),
        sa.PrimaryKeyConstraint("channel_id", "user_id", name=op.f("pk_members")),
        schema="chat",
    )
    op.create_index("ix_members_user_id", "members", ["user_id"], unique=False, schema="chat")
    op.create_table(
        "message_edits",
        sa.Column("message_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("written_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["message_id"],
            ["chat.messages.id"],
            name=op.f("fk_message_edits_message_id_messages"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("message_id", "version", name=op.f("pk_message_edits")),
        schema="chat",
    )


def downgrade() -> None:
    op.drop_table("message_edits", schema="chat")
    op.drop_index("ix_members_user_id", table_name="members", schema="chat")
    op.drop_table("members", schema="chat")
    op.drop_index("ix_attachments_file_id", table_name="attachments", schema="chat")
    op.drop_table("attachments", schema="chat")
    op.drop_table("users", schema="chat")
    op.drop_index(
        "ix_stream_log_at", table_name="stream_log", schema="chat", postgresql_using="brin"
    )
    op.drop_table("stream_log", schema="chat")
    op.drop_table("stream_heads", schema="chat")
    op.drop_table("stream_epoch", schema="chat")
    op.drop_index("ix_outbox_occurred_at", table_name="outbox", schema="chat")
    op.drop_table("outbox", schema="chat")
    op.drop_index("ix_messages_author_id_id", table_name="messages", schema="chat")
    op.drop_table("messages", schema="chat")
    op.drop_index("ix_inbox_at", table_name="inbox", schema="chat", postgresql_using="brin")
    op.drop_table("inbox", schema="chat")
    op.drop_index(
        "ix_channels_deleted_at",
        table_name="channels",
        schema="chat",
        postgresql_where=sa.text("deleted_at IS NOT NULL"),
    )
    op.drop_table("channels", schema="chat")
