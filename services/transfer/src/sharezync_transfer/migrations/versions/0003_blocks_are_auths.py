"""Blocks are auth's; of acquaintances it is known who accepted.

Revision: 0003, after 0002
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

# What was kept here goes on to hold, and auth hears of each: from then on it is on the one list of
# its account. Facts leave through the outbox, so that none is lost.
_TELL_AUTH = """
INSERT INTO transfer.outbox (id, kind, type, subject, body, headers, occurred_at)
SELECT gen_random_uuid(), 'fact', 'transfer.block.kept.v1', b.user_id::text,
       convert_to(json_build_object('user_id', b.user_id, 'blocked_id', b.blocked_id)::text,
                  'UTF8'),
       '{"source": "/transfer"}'::jsonb, b.blocked_at
  FROM transfer.blocks AS b
"""
_WHO_ACCEPTED = """
UPDATE transfer.acquaintances AS a
   SET one_accepted = f.one_accepted, other_accepted = f.other_accepted
  FROM (SELECT least(t.sender_id, r.user_id) AS one_id,
               greatest(t.sender_id, r.user_id) AS other_id,
               bool_or(r.user_id < t.sender_id) AS one_accepted,
               bool_or(r.user_id > t.sender_id) AS other_accepted
          FROM transfer.recipients AS r JOIN transfer.transfers AS t ON t.id = r.transfer_id
         WHERE r.accepted_at IS NOT NULL AND r.user_id <> t.sender_id GROUP BY 1, 2) AS f
 WHERE a.one_id = f.one_id AND a.other_id = f.other_id
"""


def upgrade() -> None:
    op.alter_column("blocks", "blocked_at", server_default=sa.text("now()"), schema="transfer")
    op.add_column(
        "blocks",
        sa.Column("active", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        schema="transfer",
    )
    op.add_column(
        "blocks",
        sa.Column("version", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        schema="transfer",
    )
    op.create_table(
        "backfills",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_backfills")),
        schema="transfer",
    )
    for name in ("one_accepted", "other_accepted"):
        op.add_column(
            "acquaintances",
            sa.Column(name, sa.Boolean(), server_default=sa.text("false"), nullable=False),
            schema="transfer",
        )
    op.execute(_TELL_AUTH)
    op.execute(_WHO_ACCEPTED)


def downgrade() -> None:
    for name in ("other_accepted", "one_accepted"):
        op.drop_column("acquaintances", name, schema="transfer")
    op.drop_table("backfills", schema="transfer")
    op.execute("DELETE FROM transfer.blocks WHERE NOT active")
    for name in ("version", "active"):
        op.drop_column("blocks", name, schema="transfer")
    op.alter_column("blocks", "blocked_at", server_default=None, schema="transfer")
