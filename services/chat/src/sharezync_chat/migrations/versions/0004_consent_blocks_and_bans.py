"""Who agreed to be where, who is blocked by whom, who is kept out of which channel."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0004"
down_revision: str | None = "0003"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

# Who was added and who came by themselves was not written down. What shows that somebody agreed to
# be in a channel: they own it, wrote or reacted there, or it is one that anybody joins by
# themselves. All others are where they were, and are seen again once they say a word.
_OWNERS = """
UPDATE chat.members AS m SET acted_at = m.joined_at
  FROM chat.channels AS c
 WHERE c.id = m.channel_id AND (c.owner_id = m.user_id OR c.kind = 'public')
"""
_AUTHORS = """
UPDATE chat.members AS m SET acted_at = greatest(m.acted_at, said.at)
  FROM (SELECT channel_id, author_id, max(created_at) AS at FROM chat.messages GROUP BY 1, 2)
       AS said
 WHERE said.channel_id = m.channel_id AND said.author_id = m.user_id
"""
_REACTORS = """
UPDATE chat.members AS m SET acted_at = greatest(m.acted_at, said.at)
  FROM (SELECT l.channel_id, r.user_id, max(r.created_at) AS at
          FROM chat.reactions AS r JOIN chat.messages AS l ON l.id = r.message_id
         GROUP BY 1, 2) AS said
 WHERE said.channel_id = m.channel_id AND said.user_id = m.user_id
"""
# Invites end when their maker loses the right to make them.
_INVITES = """
UPDATE chat.invites AS i SET revoked_at = now()
 WHERE i.revoked_at IS NULL AND NOT EXISTS (
       SELECT FROM chat.members AS m WHERE m.channel_id = i.channel_id
          AND m.user_id = i.created_by AND m.role IN ('owner', 'admin'))
"""


def upgrade() -> None:
    op.add_column(
        "users",
        sa.Column("who_may_add", sa.Text(), server_default="everybody", nullable=False),
        schema="chat",
    )
    op.add_column(
        "members",
        sa.Column("acted_at", sa.DateTime(timezone=True), nullable=True),
        schema="chat",
    )
    op.add_column(
        "members", sa.Column("hidden_up_to", sa.BigInteger(), nullable=True), schema="chat"
    )
    op.add_column("mentions", sa.Column("author_id", sa.Uuid(), nullable=True), schema="chat")
    op.create_table(
        "bans",
        sa.Column("channel_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("banned_by", sa.Uuid(), nullable=False),
        sa.Column("banned_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["channel_id"],
            ["chat.channels.id"],
            name=op.f("fk_bans_channel_id_channels"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(["user_id"], ["chat.users.id"], name=op.f("fk_bans_user_id_users")),
        sa.PrimaryKeyConstraint("channel_id", "user_id", name=op.f("pk_bans")),
        schema="chat",
    )
    op.create_index(op.f("ix_bans_user_id"), "bans", ["user_id"], schema="chat")
    op.create_table(
        "removals",
        sa.Column("channel_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("removed_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["channel_id"],
            ["chat.channels.id"],
            name=op.f("fk_removals_channel_id_channels"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("channel_id", "user_id", name=op.f("pk_removals")),
        schema="chat",
    )
    op.create_index(op.f("ix_removals_user_id"), "removals", ["user_id"], schema="chat")
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
    for backfill in (_OWNERS, _AUTHORS, _REACTORS, _INVITES):
        op.execute(backfill)


def downgrade() -> None:
    for table in ("backfills", "blocks", "removals", "bans"):
        op.drop_table(table, schema="chat")
    op.drop_column("mentions", "author_id", schema="chat")
    op.drop_column("members", "hidden_up_to", schema="chat")
    op.drop_column("members", "acted_at", schema="chat")
    op.drop_column("users", "who_may_add", schema="chat")
