"""Folders, policies and sums

Revision: 0002, after 0001
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_OPEN = "state IN ('accepted', 'offered', 'paused', 'receiving', 'verifying')"

_ACQUAINTANCES = """
INSERT INTO transfer.acquaintances (one_id, other_id)
SELECT DISTINCT least(t.sender_id, r.user_id), greatest(t.sender_id, r.user_id)
FROM transfer.recipients AS r JOIN transfer.transfers AS t ON t.id = r.transfer_id
WHERE r.accepted_at IS NOT NULL AND r.user_id <> t.sender_id
"""

# How fast things came was not written down before: what ended by then has no speed.
_ENDED = """
WITH ended AS (
    SELECT t.sender_id, r.user_id, (r.updated_at AT TIME ZONE 'UTC')::date AS day,
        (r.state = 'completed')::int AS completed,
        CASE WHEN r.state = 'completed' THEN r.accepted_files ELSE 0 END AS files,
        r.received_bytes
    FROM transfer.recipients AS r JOIN transfer.transfers AS t ON t.id = r.transfer_id
    WHERE r.state IN ('completed', 'failed', 'cancelled', 'expired', 'rejected')
), sides AS (
    SELECT sender_id AS user_id, user_id AS peer_id, 'sender' AS role,
        day, completed, files, received_bytes FROM ended
    UNION ALL
    SELECT user_id, sender_id, 'recipient', day, completed, files, received_bytes FROM ended
)
"""
_BY_DAY = (
    _ENDED
    + """
INSERT INTO transfer.sums_by_day
    (user_id, day, role, ended, completed, files, bytes, timed_bytes, seconds,
     best_bytes_per_second)
SELECT s.user_id, day, role, count(*), sum(completed), sum(files), sum(received_bytes), 0, 0, 0
FROM sides AS s JOIN transfer.users AS u ON u.id = s.user_id AND NOT u.deleted
GROUP BY s.user_id, day, role
"""
)
_BY_PEER = (
    _ENDED
    + """
INSERT INTO transfer.sums_by_peer
    (user_id, peer_id, role, ended, completed, files, bytes, timed_bytes, seconds,
     best_bytes_per_second)
SELECT s.user_id, peer_id, role, count(*), sum(completed), sum(files), sum(received_bytes), 0, 0, 0
FROM sides AS s JOIN transfer.users AS u ON u.id = s.user_id AND NOT u.deleted
GROUP BY s.user_id, peer_id, role
"""
)


def upgrade() -> None:
    op.create_table(
        "policies",
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("device_id", sa.Uuid(), nullable=False),
        sa.Column("policy", sa.Text(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("user_id", "device_id", name=op.f("pk_policies")),
        schema="transfer",
    )
    op.create_table(
        "blocks",
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("blocked_id", sa.Uuid(), nullable=False),
        sa.Column("blocked_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("user_id", "blocked_id", name=op.f("pk_blocks")),
        schema="transfer",
    )
    op.create_table(
        "acquaintances",
        sa.Column("one_id", sa.Uuid(), nullable=False),
        sa.Column("other_id", sa.Uuid(), nullable=False),
        sa.PrimaryKeyConstraint("one_id", "other_id", name=op.f("pk_acquaintances")),
        schema="transfer",
    )
    op.create_index(
        "ix_blocks_blocked_id", "blocks", ["blocked_id"], unique=False, schema="transfer"
    )
    op.create_index(
        "ix_acquaintances_other_id", "acquaintances", ["other_id"], unique=False, schema="transfer"
    )
    op.create_table(
        "sums_by_day",
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        *_sums(),
        sa.PrimaryKeyConstraint("user_id", "day", "role", name=op.f("pk_sums_by_day")),
        schema="transfer",
    )
    op.create_table(
        "sums_by_peer",
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("peer_id", sa.Uuid(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        *_sums(),
        sa.PrimaryKeyConstraint("user_id", "peer_id", "role", name=op.f("pk_sums_by_peer")),
        schema="transfer",
    )
    op.add_column("files", sa.Column("path", sa.Text(), nullable=True), schema="transfer")
    for column in (
        sa.Column("began_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("began_bytes", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("stranger", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("hidden", sa.Boolean(), server_default=sa.text("false"), nullable=False),
    ):
        op.add_column("recipients", column, schema="transfer")
    op.create_index(
        "ix_recipients_user_id_open",
        "recipients",
        ["user_id"],
        unique=False,
        schema="transfer",
        postgresql_where=sa.text(_OPEN),
    )
    op.create_index(
        "ix_transfers_sender_id_open",
        "transfers",
        ["sender_id"],
        unique=False,
        schema="transfer",
        postgresql_where=sa.text("ended_at IS NULL"),
    )
    for backfill in (_ACQUAINTANCES, _BY_DAY, _BY_PEER):
        op.execute(backfill)


def _sums() -> list[sa.Column[int] | sa.Column[float]]:
    return [
        sa.Column("ended", sa.Integer(), nullable=False),
        sa.Column("completed", sa.Integer(), nullable=False),
        sa.Column("files", sa.BigInteger(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("timed_bytes", sa.BigInteger(), nullable=False),
        sa.Column("seconds", sa.Float(), nullable=False),
        sa.Column("best_bytes_per_second", sa.Float(), nullable=False),
    ]


def downgrade() -> None:
    op.drop_index("ix_transfers_sender_id_open", table_name="transfers", schema="transfer")
    op.drop_index("ix_recipients_user_id_open", table_name="recipients", schema="transfer")
    for name in ("hidden", "stranger", "received_at", "began_bytes", "began_at"):
        op.drop_column("recipients", name, schema="transfer")
    op.drop_column("files", "path", schema="transfer")
    for table in ("sums_by_peer", "sums_by_day", "acquaintances", "blocks", "policies"):
        op.drop_table(table, schema="transfer")
