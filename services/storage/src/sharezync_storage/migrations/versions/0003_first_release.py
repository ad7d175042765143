"""The tables of the first release.

Replaces three migrations that no release had, and has the revision id of the last of them, so that
a database at that revision needs nothing. The next revision has the next number.
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0003"
down_revision: str | None = None
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

# In the order in which they are made, which is that of their foreign keys.
_TABLES = (
    "files", "grants", "holds", "former_holders",
    "uploads", "segments", "chunks",
    "links", "claims",
    "usage", "deletions",
    "stream_epoch", "stream_heads", "stream_log", "outbox", "inbox",
)  # fmt: skip


def upgrade() -> None:
    _files()
    _uploads()
    _links()
    _space()
    _streams_and_events()


def downgrade() -> None:
    for table in reversed(_TABLES):
        op.drop_table(table, schema="storage")


def _files() -> None:
    """Files, who may read them, and what keeps them."""
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
        sa.Column("let_go_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("unheld_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_files")),
        sa.UniqueConstraint("store_key", name=op.f("uq_files_store_key")),
        schema="storage",
    )
    op.create_index(
        "ix_files_deleted_at",
        "files",
        ["deleted_at"],
        schema="storage",
        postgresql_where=sa.text("deleted_at IS NOT NULL"),
    )
    op.create_index(
        "ix_files_owner_id_id",
        "files",
        ["owner_id", "id"],
        schema="storage",
        postgresql_where=sa.text("deleted_at IS NULL AND let_go_at IS NULL"),
    )
    op.create_index(
        "ix_files_unheld_at",
        "files",
        ["unheld_at"],
        schema="storage",
        postgresql_where=sa.text("unheld_at IS NOT NULL"),
    )
    op.create_table(
        "grants",
        sa.Column("file_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("file_id", "user_id", name=op.f("pk_grants")),
        _child_of("files", "fk_grants_file_id_files", "file_id"),
        schema="storage",
    )
    op.create_index("ix_grants_user_id_file_id", "grants", ["user_id", "file_id"], schema="storage")
    op.create_table(
        "holds",
        sa.Column("file_id", sa.Uuid(), nullable=False),
        sa.Column("holder_id", sa.Uuid(), nullable=False),
        sa.Column("holder", sa.Text(), nullable=False),
        sa.Column("group_id", sa.Uuid(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("file_id", "holder_id", name=op.f("pk_holds")),
        schema="storage",
    )
    op.create_index(
        "ix_holds_asked",
        "holds",
        ["created_at"],
        schema="storage",
        postgresql_where=sa.text("holder = 'asked'"),
    )
    op.create_index("ix_holds_group_id", "holds", ["group_id"], schema="storage")
    op.create_index("ix_holds_holder_id", "holds", ["holder_id"], schema="storage")
    op.create_table(
        "former_holders",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_former_holders")),
        schema="storage",
    )
    op.create_index("ix_former_holders_ended_at", "former_holders", ["ended_at"], schema="storage")


def _uploads() -> None:
    """Files on their way in."""
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
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("writer", sa.Uuid(), nullable=True),
        sa.Column("leased_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("tus_metadata", sa.Text(), nullable=True),
        sa.Column("tus_concat", sa.Text(), nullable=True),
        sa.Column("source_ids", postgresql.ARRAY(sa.Uuid()), nullable=True),
        sa.Column("direct_id", sa.Text(), nullable=True),
        sa.Column("idempotency_key", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_uploads")),
        sa.CheckConstraint("reserved_bytes >= 0", name=op.f("ck_uploads_reserved")),
        schema="storage",
    )
    op.create_index(
        "ix_uploads_expires_at",
        "uploads",
        ["expires_at"],
        schema="storage",
        postgresql_where=sa.text("expires_at IS NOT NULL"),
    )
    op.create_index("ix_uploads_owner_id", "uploads", ["owner_id"], schema="storage")
    op.create_index(
        "ix_uploads_under_way",
        "uploads",
        ["owner_id"],
        schema="storage",
        postgresql_where=sa.text("expires_at IS NOT NULL"),
    )
    op.create_index(
        "ix_uploads_verifying",
        "uploads",
        ["id"],
        schema="storage",
        postgresql_where=sa.text("state = 'verifying'"),
    )
    op.create_index(
        "uq_uploads_idempotency_key",
        "uploads",
        ["owner_id", "idempotency_key"],
        unique=True,
        schema="storage",
        postgresql_where=sa.text("idempotency_key IS NOT NULL"),
    )
    op.create_table(
        "segments",
        sa.Column("upload_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("size_bytes", sa.Integer(), nullable=False),
        sa.Column("mark", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("upload_id", "number", name=op.f("pk_segments")),
        _child_of("uploads", "fk_segments_upload_id_uploads", "upload_id"),
        schema="storage",
    )
    op.create_table(
        "chunks",
        sa.Column("upload_id", sa.Uuid(), nullable=False),
        sa.Column("index", sa.Integer(), nullable=False),
        sa.Column("size_bytes", sa.Integer(), nullable=False),
        sa.Column("sha256", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("upload_id", "index", name=op.f("pk_chunks")),
        _child_of("uploads", "fk_chunks_upload_id_uploads", "upload_id"),
        schema="storage",
    )


def _links() -> None:
    """Links for strangers, and the downloads that they allow."""
    op.create_table(
        "links",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("file_id", sa.Uuid(), nullable=False),
        sa.Column("owner_id", sa.Uuid(), nullable=True),
        sa.Column("token_digest", sa.LargeBinary(), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("max_downloads", sa.Integer(), nullable=True),
        sa.Column("downloads_left", sa.Integer(), nullable=True),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("locked_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_links")),
        sa.UniqueConstraint("token_digest", name=op.f("uq_links_token_digest")),
        _child_of("files", "fk_links_file_id_files", "file_id"),
        sa.CheckConstraint("downloads_left >= 0", name=op.f("ck_links_downloads_left")),
        schema="storage",
    )
    op.create_index("ix_links_file_id", "links", ["file_id"], schema="storage")
    op.create_index("ix_links_owner_id", "links", ["owner_id"], schema="storage")
    op.create_table(
        "claims",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("link_id", sa.Uuid(), nullable=False),
        sa.Column("sent_bytes", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_claims")),
        _child_of("links", "fk_claims_link_id_links", "link_id"),
        schema="storage",
    )
    op.create_index("ix_claims_expires_at", "claims", ["expires_at"], schema="storage")
    op.create_index("ix_claims_link_id", "claims", ["link_id"], schema="storage")


def _space() -> None:
    """How much everybody uses, and bytes that are to be deleted."""
    op.create_table(
        "usage",
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("used_bytes", sa.BigInteger(), nullable=False),
        sa.Column("reserved_bytes", sa.BigInteger(), nullable=False),
        sa.Column("file_count", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_usage")),
        sa.CheckConstraint("reserved_bytes >= 0", name=op.f("ck_usage_reserved")),
        sa.CheckConstraint("used_bytes >= 0", name=op.f("ck_usage_used")),
        schema="storage",
    )
    op.create_table(
        "deletions",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("store_key", sa.Text(), nullable=False),
        sa.Column("direct_id", sa.Text(), nullable=True),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deletions")),
        schema="storage",
    )
    op.create_index("ix_deletions_due_at", "deletions", ["due_at"], schema="storage")


def _streams_and_events() -> None:
    """Logs of streams; what is to be published, and what was handled."""
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
        "ix_stream_log_at", "stream_log", ["at"], schema="storage", postgresql_using="brin"
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
    op.create_index("ix_outbox_occurred_at", "outbox", ["occurred_at"], schema="storage")
    op.create_table(
        "inbox",
        sa.Column("consumer", sa.Text(), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("consumer", "event_id", name=op.f("pk_inbox")),
        schema="storage",
    )
    op.create_index("ix_inbox_at", "inbox", ["at"], schema="storage", postgresql_using="brin")


def _child_of(parent: str, name: str, column: str) -> sa.ForeignKeyConstraint:
    """Return a foreign key whose row goes with the parent's."""
    return sa.ForeignKeyConstraint(
        [column], [f"storage.{parent}.id"], name=op.f(name), ondelete="CASCADE"
    )
