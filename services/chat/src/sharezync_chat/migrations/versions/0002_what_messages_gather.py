"""Reactions, pins, invites, mentions, and words to search for."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0002"
down_revision: str | None = "0001"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "mentions",
        sa.Column("channel_id", sa.Uuid(), nullable=False),
        sa.Column("target_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("channel_id", "target_id", "number", name=op.f("pk_mentions")),
        schema="chat",
    )
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
        sa.ForeignKeyConstraint(
            ["channel_id"],
            ["chat.channels.id"],
            name=op.f("fk_invites_channel_id_channels"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_invites")),
        sa.UniqueConstraint("code_digest", name=op.f("uq_invites_code_digest")),
        schema="chat",
    )
    op.create_index(
        "ix_invites_channel_id_id", "invites", ["channel_id", "id"], unique=False, schema="chat"
    )
    op.create_table(
        "pins",
        sa.Column("message_id", sa.Uuid(), nullable=False),
        sa.Column("channel_id", sa.Uuid(), nullable=False),
        sa.Column("pinned_by", sa.Uuid(), nullable=False),
        sa.Column("pinned_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["message_id"],
            ["chat.messages.id"],
            name=op.f("fk_pins_message_id_messages"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("message_id", name=op.f("pk_pins")),
        schema="chat",
    )
    op.create_index(
        "ix_pins_channel_id_pinned_at",
        "pins",
        ["channel_id", "pinned_at"],
        unique=False,
        schema="chat",
    )
    op.create_table(
        "reactions",
        sa.Column("message_id", sa.Uuid(), nullable=False),
        sa.Column("emoji", sa.Text(collation="C"), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["message_id"],
            ["chat.messages.id"],
            name=op.f("fk_reactions_message_id_messages"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("message_id", "emoji", "user_id", name=op.f("pk_reactions")),
        schema="chat",
    )
    op.create_index(
        op.f("ix_reactions_user_id"), "reactions", ["user_id"], unique=False, schema="chat"
    )
    op.create_table(
        "search_heads",
        sa.Column("channel_id", sa.Uuid(), nullable=False),
        sa.Column("indexed_number", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["channel_id"],
            ["chat.channels.id"],
            name=op.f("fk_search_heads_channel_id_channels"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("channel_id", name=op.f("pk_search_heads")),
        schema="chat",
    )
    op.create_table(
        "search_texts",
        sa.Column("message_id", sa.Uuid(), nullable=False),
        sa.Column("channel_id", sa.Uuid(), nullable=False),
        sa.Column("words", postgresql.TSVECTOR(), nullable=False),
        sa.ForeignKeyConstraint(
            ["message_id"],
            ["chat.messages.id"],
            name=op.f("fk_search_texts_message_id_messages"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("message_id", name=op.f("pk_search_texts")),
        schema="chat",
    )
    op.create_index(
        "ix_search_texts_channel_id", "search_texts", ["channel_id"], unique=False, schema="chat"
    )
    op.create_index(
        "ix_search_texts_words",
        "search_texts",
        ["words"],
        unique=False,
        schema="chat",
        postgresql_using="gin",
    )
    # With a default for the rows that are there (no rewrite of the table), then without.
    op.add_column(
        "messages",
        sa.Column("mentions", postgresql.ARRAY(sa.Uuid()), server_default="{}", nullable=False),
        schema="chat",
    )
    op.add_column(
        "messages",
        sa.Column("mentions_channel", sa.Boolean(), server_default="false", nullable=False),
        schema="chat",
    )
    op.alter_column("messages", "mentions", server_default=None, schema="chat")
    op.alter_column("messages", "mentions_channel", server_default=None, schema="chat")
    op.create_index(
        "ix_messages_reply_to_id",
        "messages",
        ["reply_to", "id"],
        unique=False,
        schema="chat",
        postgresql_where=sa.text("reply_to IS NOT NULL"),
    )
    op.add_column(
        "users", sa.Column("username_key", sa.Text(collation="C"), nullable=True), schema="chat"
    )
    # Nearly what `key_of` makes of it; the next news of a user says it exactly.
    op.execute("UPDATE chat.users SET username_key = lower(normalize(username, NFKC))")
    op.alter_column("users", "username_key", nullable=False, schema="chat")
    op.create_index(
        op.f("ix_users_username_key"), "users", ["username_key"], unique=False, schema="chat"
    )


def downgrade() -> None:
    op.drop_index(op.f("ix_users_username_key"), table_name="users", schema="chat")
    op.drop_column("users", "username_key", schema="chat")
    op.drop_index(
        "ix_messages_reply_to_id",
        table_name="messages",
        schema="chat",
        postgresql_where=sa.text("reply_to IS NOT NULL"),
    )
    op.drop_column("messages", "mentions_channel", schema="chat")
    op.drop_column("messages", "mentions", schema="chat")
    op.drop_index(
        "ix_search_texts_words", table_name="search_texts", schema="chat", postgresql_using="gin"
    )
    op.drop_index("ix_search_texts_channel_id", table_name="search_texts", schema="chat")
    op.drop_table("search_texts", schema="chat")
    op.drop_table("search_heads", schema="chat")
    op.drop_index(op.f("ix_reactions_user_id"), table_name="reactions", schema="chat")
    op.drop_table("reactions", schema="chat")
    op.drop_index("ix_pins_channel_id_pinned_at", table_name="pins", schema="chat")
    op.drop_table("pins", schema="chat")
    op.drop_index("ix_invites_channel_id_id", table_name="invites", schema="chat")
    op.drop_table("invites", schema="chat")
    op.drop_table("mentions", schema="chat")
