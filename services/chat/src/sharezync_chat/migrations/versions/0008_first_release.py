"""The tables of the first release.

Replaces eight migrations that no release had, and has the revision id of the last of them, so that
a database at that revision needs nothing. The next revision has the next number.
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0008"
down_revision: str | None = None
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

# In the order in which they are made, which is that of their foreign keys.
_TABLES = (
    "users", "blocks", "backfills",
    "channels", "members", "invites", "bans", "removals",
    "messages", "message_edits", "attachments", "reactions", "mentions", "pins",
    "search_heads", "search_texts",
    "stream_epoch", "stream_heads", "stream_log", "outbox", "inbox",
)  # fmt: skip


def upgrade() -> None:
    _people()
    _channels()
    _messages()
    _search()
    _streams_and_events()


def downgrade() -> None:
    for table in reversed(_TABLES):
        op.drop_table(table, schema="chat")


def _people() -> None:
    """What auth says of people."""
    op.create_table(
        "users",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("username", sa.Text(), nullable=False),
        sa.Column("username_key", sa.Text(collation="C"), nullable=False),
        sa.Column("display_name", sa.Text(), nullable=False),
        sa.Column("names_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deleted", sa.Boolean(), nullable=False),
        sa.Column("who_may_add", sa.Text(), server_default="everybody", nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_users")),
        schema="chat",
    )
    op.create_index(op.f("ix_users_username_key"), "users", ["username_key"], schema="chat")
    op.create_table(
        "blocks",
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("blocked_id", sa.Uuid(), nullable=False),
        sa.Column(
            "blocked_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("active", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("version", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.PrimaryKeyConstraint("user_id", "blocked_id", name=op.f("pk_blocks")),
        schema="chat",
    )
    op.create_index("ix_blocks_blocked_id", "blocks", ["blocked_id"], schema="chat")
    op.create_table(
        "backfills",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_backfills")),
        schema="chat",
    )


def _channels() -> None:
    """Channels, and who is, may be or may not be in them."""
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
        sa.Column("created_by", sa.Uuid(), nullable=True),
        sa.Column("conversation_key", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_channels")),
        sa.UniqueConstraint("conversation_key", name=op.f("uq_channels_conversation_key")),
        sa.CheckConstraint(
            "kind IN ('public', 'private', 'direct', 'group')", name=op.f("ck_channels_kind")
        ),
        schema="chat",
    )
    op.create_index(
        "ix_channels_created_by",
        "channels",
        ["created_by"],
        schema="chat",
        postgresql_where=sa.text("deleted_at IS NULL"),
    )
    op.create_index(
        "ix_channels_deleted_at",
        "channels",
        ["deleted_at"],
        schema="chat",
        postgresql_where=sa.text("deleted_at IS NOT NULL"),
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
        sa.Column("acted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("hidden_up_to", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("channel_id", "user_id", name=op.f("pk_members")),
        _child_of("channels", "fk_members_channel_id_channels", "channel_id"),
        sa.ForeignKeyConstraint(
            ["user_id"], ["chat.users.id"], name=op.f("fk_members_user_id_users")
        ),
        sa.CheckConstraint("role IN ('owner', 'admin', 'member')", name=op.f("ck_members_role")),
        schema="chat",
    )
    op.create_index("ix_members_user_id", "members", ["user_id"], schema="chat")
    op.create_table(
        "invites",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("channel_id", sa.Uuid(), nullable=False),
        sa.Column("code_digest", sa.LargeBinary(), nullable=False),
        sa.Column("created_by", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("max_uses", sa.Integer(), nullable=True),
        sa.Column("uses", sa.Integer(), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_invites")),
        sa.UniqueConstraint("code_digest", name=op.f("uq_invites_code_digest")),
        _child_of("channels", "fk_invites_channel_id_channels", "channel_id"),
        schema="chat",
    )
    op.create_index("ix_invites_channel_id_id", "invites", ["channel_id", "id"], schema="chat")
    op.create_index(
        "ix_invites_created_by",
        "invites",
        ["created_by"],
        schema="chat",
        postgresql_where=sa.text("revoked_at IS NULL"),
    )
    op.create_table(
        "bans",
        sa.Column("channel_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("banned_by", sa.Uuid(), nullable=False),
        sa.Column("banned_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("channel_id", "user_id", name=op.f("pk_bans")),
        _child_of("channels", "fk_bans_channel_id_channels", "channel_id"),
        sa.ForeignKeyConstraint(["user_id"], ["chat.users.id"], name=op.f("fk_bans_user_id_users")),
        schema="chat",
    )
    op.create_index(op.f("ix_bans_user_id"), "bans", ["user_id"], schema="chat")
    op.create_table(
        "removals",
        sa.Column("channel_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("removed_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("channel_id", "user_id", name=op.f("pk_removals")),
        _child_of("channels", "fk_removals_channel_id_channels", "channel_id"),
        schema="chat",
    )
    op.create_index(op.f("ix_removals_user_id"), "removals", ["user_id"], schema="chat")


def _messages() -> None:
    """Messages, and what they gather."""
    op.create_table(
        "messages",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("channel_id", sa.Uuid(), nullable=False),
        sa.Column("author_id", sa.Uuid(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("reply_to", sa.Uuid(), nullable=True),
        sa.Column("mentions", postgresql.ARRAY(sa.Uuid()), nullable=False),
        sa.Column("mentions_channel", sa.Boolean(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("epoch", sa.Text(), nullable=False),
        sa.Column("client_message_id", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("edited_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("edited_by", sa.Uuid(), nullable=True),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_messages")),
        sa.UniqueConstraint(
            "author_id", "client_message_id", name=op.f("uq_messages_author_id_client_message_id")
        ),
        sa.UniqueConstraint("channel_id", "seq", name=op.f("uq_messages_channel_id_seq")),
        schema="chat",
    )
    op.create_index("ix_messages_author_id_id", "messages", ["author_id", "id"], schema="chat")
    op.create_index(
        "ix_messages_reply_to_id",
        "messages",
        ["reply_to", "id"],
        schema="chat",
        postgresql_where=sa.text("reply_to IS NOT NULL"),
    )
    op.create_table(
        "message_edits",
        sa.Column("message_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("written_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("written_by", sa.Uuid(), nullable=True),
        sa.PrimaryKeyConstraint("message_id", "version", name=op.f("pk_message_edits")),
        _child_of("messages", "fk_message_edits_message_id_messages", "message_id"),
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
        sa.PrimaryKeyConstraint("message_id", "position", name=op.f("pk_attachments")),
        _child_of("messages", "fk_attachments_message_id_messages", "message_id"),
        schema="chat",
    )
    op.create_index("ix_attachments_file_id", "attachments", ["file_id"], schema="chat")
    op.create_table(
        "reactions",
        sa.Column("message_id", sa.Uuid(), nullable=False),
        sa.Column("emoji", sa.Text(collation="C"), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("message_id", "emoji", "user_id", name=op.f("pk_reactions")),
        _child_of("messages", "fk_reactions_message_id_messages", "message_id"),
        schema="chat",
    )
    op.create_index(op.f("ix_reactions_user_id"), "reactions", ["user_id"], schema="chat")
    op.create_table(
        "mentions",
        sa.Column("channel_id", sa.Uuid(), nullable=False),
        sa.Column("target_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("author_id", sa.Uuid(), nullable=True),
        sa.PrimaryKeyConstraint("channel_id", "target_id", "number", name=op.f("pk_mentions")),
        schema="chat",
    )
    op.create_index(
        "ix_mentions_authors",
        "mentions",
        ["channel_id", "target_id", "author_id", "number"],
        schema="chat",
    )
    op.create_table(
        "pins",
        sa.Column("message_id", sa.Uuid(), nullable=False),
        sa.Column("channel_id", sa.Uuid(), nullable=False),
        sa.Column("pinned_by", sa.Uuid(), nullable=False),
        sa.Column("pinned_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("message_id", name=op.f("pk_pins")),
        _child_of("messages", "fk_pins_message_id_messages", "message_id"),
        schema="chat",
    )
    op.create_index(
        "ix_pins_channel_id_pinned_at", "pins", ["channel_id", "pinned_at"], schema="chat"
    )


def _search() -> None:
    """The index of words."""
    op.create_table(
        "search_heads",
        sa.Column("channel_id", sa.Uuid(), nullable=False),
        sa.Column("indexed_number", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("channel_id", name=op.f("pk_search_heads")),
        _child_of("channels", "fk_search_heads_channel_id_channels", "channel_id"),
        schema="chat",
    )
    op.create_table(
        "search_texts",
        sa.Column("message_id", sa.Uuid(), nullable=False),
        sa.Column("channel_id", sa.Uuid(), nullable=False),
        sa.Column("words", postgresql.TSVECTOR(), nullable=False),
        sa.PrimaryKeyConstraint("message_id", name=op.f("pk_search_texts")),
        _child_of("messages", "fk_search_texts_message_id_messages", "message_id"),
        schema="chat",
    )
    op.create_index("ix_search_texts_channel_id", "search_texts", ["channel_id"], schema="chat")
    op.create_index(
        "ix_search_texts_words", "search_texts", ["words"], schema="chat", postgresql_using="gin"
    )


def _streams_and_events() -> None:
    """Logs of streams; what is to be published, and what was handled."""
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
        "ix_stream_log_at", "stream_log", ["at"], schema="chat", postgresql_using="brin"
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
    op.create_index("ix_outbox_occurred_at", "outbox", ["occurred_at"], schema="chat")
    op.create_table(
        "inbox",
        sa.Column("consumer", sa.Text(), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("consumer", "event_id", name=op.f("pk_inbox")),
        schema="chat",
    )
    op.create_index("ix_inbox_at", "inbox", ["at"], schema="chat", postgresql_using="brin")


def _child_of(parent: str, name: str, column: str) -> sa.ForeignKeyConstraint:
    """Return a foreign key whose row goes with the parent's."""
    return sa.ForeignKeyConstraint(
        [column], [f"chat.{parent}.id"], name=op.f(name), ondelete="CASCADE"
    )
