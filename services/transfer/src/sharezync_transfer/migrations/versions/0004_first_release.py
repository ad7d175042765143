"""The tables of the first release.

Replaces four migrations that no release had, and has the revision id of the last of them, so that
a database at that revision needs nothing. The next revision has the next number.
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0004"
down_revision: str | None = None
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

# In the order in which they are made, which is that of their foreign keys.
_TABLES = (
    "users", "blocks", "backfills", "acquaintances", "policies",
    "transfers", "files", "recipients", "receipts",
    "sums_by_day", "sums_by_peer",
    "stream_epoch", "stream_heads", "stream_log", "outbox", "inbox",
)  # fmt: skip


def upgrade() -> None:
    _people()
    _transfers()
    _statistics()
    _streams_and_events()


def downgrade() -> None:
    for table in reversed(_TABLES):
        op.drop_table(table, schema="transfer")


def _people() -> None:
    """What auth says of people, and who knows whom."""
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
        schema="transfer",
    )
    op.create_index("ix_blocks_blocked_id", "blocks", ["blocked_id"], schema="transfer")
    op.create_table(
        "backfills",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_backfills")),
        schema="transfer",
    )
    op.create_table(
        "acquaintances",
        sa.Column("one_id", sa.Uuid(), nullable=False),
        sa.Column("other_id", sa.Uuid(), nullable=False),
        sa.Column("one_accepted", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("other_accepted", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.PrimaryKeyConstraint("one_id", "other_id", name=op.f("pk_acquaintances")),
        schema="transfer",
    )
    op.create_index("ix_acquaintances_other_id", "acquaintances", ["other_id"], schema="transfer")
    op.create_table(
        "policies",
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("device_id", sa.Uuid(), nullable=False),
        sa.Column("policy", sa.Text(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("user_id", "device_id", name=op.f("pk_policies")),
        schema="transfer",
    )


def _transfers() -> None:
    """Transfers, their files and recipients, and how far each file is."""
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
        sa.PrimaryKeyConstraint("id", name=op.f("pk_transfers")),
        sa.UniqueConstraint(
            "sender_id",
            "client_transfer_id",
            name=op.f("uq_transfers_sender_id_client_transfer_id"),
        ),
        sa.ForeignKeyConstraint(
            ["sender_id"], ["transfer.users.id"], name=op.f("fk_transfers_sender_id_users")
        ),
        schema="transfer",
    )
    op.create_index(
        "ix_transfers_ended_at",
        "transfers",
        ["ended_at"],
        schema="transfer",
        postgresql_where=sa.text("ended_at IS NOT NULL AND released_at IS NULL"),
    )
    op.create_index(
        "ix_transfers_expires_at",
        "transfers",
        ["expires_at"],
        schema="transfer",
        postgresql_where=sa.text("ended_at IS NULL"),
    )
    op.create_index(
        "ix_transfers_sender_id_id", "transfers", ["sender_id", "id"], schema="transfer"
    )
    op.create_index(
        "ix_transfers_sender_id_open",
        "transfers",
        ["sender_id"],
        schema="transfer",
        postgresql_where=sa.text("ended_at IS NULL"),
    )
    op.create_table(
        "files",
        sa.Column("transfer_id", sa.Uuid(), nullable=False),
        sa.Column("index", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("path", sa.Text(), nullable=True),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("mime", sa.Text(), nullable=False),
        sa.Column("sha256", sa.LargeBinary(), nullable=True),
        sa.Column("upload_id", sa.Uuid(), nullable=False),
        sa.Column("root", sa.LargeBinary(), nullable=True),
        sa.Column("file_id", sa.Uuid(), nullable=True),
        sa.Column("stored_bytes", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("transfer_id", "index", name=op.f("pk_files")),
        _child_of("transfers", "fk_files_transfer_id_transfers", "transfer_id"),
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
        sa.Column("began_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("began_bytes", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("completed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("stranger", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("hidden", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.PrimaryKeyConstraint("transfer_id", "user_id", name=op.f("pk_recipients")),
        _child_of("transfers", "fk_recipients_transfer_id_transfers", "transfer_id"),
        sa.ForeignKeyConstraint(
            ["user_id"], ["transfer.users.id"], name=op.f("fk_recipients_user_id_users")
        ),
        schema="transfer",
    )
    op.create_index(
        "ix_recipients_user_id_open",
        "recipients",
        ["user_id"],
        schema="transfer",
        postgresql_where=sa.text(
            "state IN ('accepted', 'offered', 'paused', 'receiving', 'verifying')"
        ),
    )
    op.create_index(
        "ix_recipients_user_id_transfer_id",
        "recipients",
        ["user_id", "transfer_id"],
        schema="transfer",
    )
    op.create_table(
        "receipts",
        sa.Column("transfer_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("file_index", sa.Integer(), nullable=False),
        sa.Column("ranges", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("received_bytes", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("transfer_id", "user_id", "file_index", name=op.f("pk_receipts")),
        sa.ForeignKeyConstraint(
            ["transfer_id", "user_id"],
            ["transfer.recipients.transfer_id", "transfer.recipients.user_id"],
            name=op.f("fk_receipts_transfer_id_user_id_recipients"),
            ondelete="CASCADE",
        ),
        schema="transfer",
    )


def _statistics() -> None:
    """Sums of transfers that ended."""
    op.create_table(
        "sums_by_day",
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("ended", sa.Integer(), nullable=False),
        sa.Column("completed", sa.Integer(), nullable=False),
        sa.Column("files", sa.BigInteger(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("timed_bytes", sa.BigInteger(), nullable=False),
        sa.Column("seconds", sa.Float(), nullable=False),
        sa.Column("best_bytes_per_second", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("user_id", "day", "role", name=op.f("pk_sums_by_day")),
        schema="transfer",
    )
    op.create_table(
        "sums_by_peer",
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("peer_id", sa.Uuid(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("ended", sa.Integer(), nullable=False),
        sa.Column("completed", sa.Integer(), nullable=False),
        sa.Column("files", sa.BigInteger(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("timed_bytes", sa.BigInteger(), nullable=False),
        sa.Column("seconds", sa.Float(), nullable=False),
        sa.Column("best_bytes_per_second", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("user_id", "peer_id", "role", name=op.f("pk_sums_by_peer")),
        schema="transfer",
    )


def _streams_and_events() -> None:
    """Logs of streams; what is to be published, and what was handled."""
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
        "ix_stream_log_at", "stream_log", ["at"], schema="transfer", postgresql_using="brin"
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
    op.create_index("ix_outbox_occurred_at", "outbox", ["occurred_at"], schema="transfer")
    op.create_table(
        "inbox",
        sa.Column("consumer", sa.Text(), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("consumer", "event_id", name=op.f("pk_inbox")),
        schema="transfer",
    )
    op.create_index("ix_inbox_at", "inbox", ["at"], schema="transfer", postgresql_using="brin")


def _child_of(parent: str, name: str, column: str) -> sa.ForeignKeyConstraint:
    """Return a foreign key whose row goes with the parent's."""
    return sa.ForeignKeyConstraint(
        [column], [f"transfer.{parent}.id"], name=op.f(name), ondelete="CASCADE"
    )
