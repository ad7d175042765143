"""Uploads that resume, links for strangers, and what keeps a file alive.

Revision: 0002
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "grants",
        sa.Column("file_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["file_id"],
            ["storage.files.id"],
            name=op.f("fk_grants_file_id_files"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("file_id", "user_id", name=op.f("pk_grants")),
        schema="storage",
    )
    op.create_index(
        "ix_grants_user_id_file_id",
        "grants",
        ["user_id", "file_id"],
        unique=False,
        schema="storage",
    )
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
    op.create_index("ix_holds_group_id", "holds", ["group_id"], unique=False, schema="storage")
    op.create_index("ix_holds_holder_id", "holds", ["holder_id"], unique=False, schema="storage")
    op.create_index(
        "ix_holds_asked",
        "holds",
        ["created_at"],
        unique=False,
        schema="storage",
        postgresql_where=sa.text("holder = 'asked'"),
    )
    op.create_table(
        "former_holders",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_former_holders")),
        schema="storage",
    )
    op.create_index(
        "ix_former_holders_ended_at",
        "former_holders",
        ["ended_at"],
        unique=False,
        schema="storage",
    )
    op.create_table(
        "links",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("file_id", sa.Uuid(), nullable=False),
        sa.Column("token_digest", sa.LargeBinary(), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("max_downloads", sa.Integer(), nullable=True),
        sa.Column("downloads_left", sa.Integer(), nullable=True),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("locked_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("downloads_left >= 0", name=op.f("ck_links_downloads_left")),
        sa.ForeignKeyConstraint(
            ["file_id"],
            ["storage.files.id"],
            name=op.f("fk_links_file_id_files"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_links")),
        sa.UniqueConstraint("token_digest", name=op.f("uq_links_token_digest")),
        schema="storage",
    )
    op.create_index("ix_links_file_id", "links", ["file_id"], unique=False, schema="storage")
    op.create_table(
        "segments",
        sa.Column("upload_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("size_bytes", sa.Integer(), nullable=False),
        sa.Column("mark", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["upload_id"],
            ["storage.uploads.id"],
            name=op.f("fk_segments_upload_id_uploads"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("upload_id", "number", name=op.f("pk_segments")),
        schema="storage",
    )
    op.create_table(
        "claims",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("link_id", sa.Uuid(), nullable=False),
        sa.Column("sent_bytes", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["link_id"],
            ["storage.links.id"],
            name=op.f("fk_claims_link_id_links"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_claims")),
        schema="storage",
    )
    op.create_index(
        "ix_claims_expires_at", "claims", ["expires_at"], unique=False, schema="storage"
    )
    op.create_index("ix_claims_link_id", "claims", ["link_id"], unique=False, schema="storage")
    op.add_column("deletions", sa.Column("direct_id", sa.Text(), nullable=True), schema="storage")
    op.add_column(
        "deletions",
        sa.Column("size_bytes", sa.BigInteger(), nullable=False, server_default="0"),
        schema="storage",
    )
    op.add_column(
        "files", sa.Column("let_go_at", sa.DateTime(timezone=True), nullable=True), schema="storage"
    )
    op.add_column(
        "files", sa.Column("unheld_at", sa.DateTime(timezone=True), nullable=True), schema="storage"
    )
    op.create_index(
        "ix_files_unheld_at",
        "files",
        ["unheld_at"],
        unique=False,
        schema="storage",
        postgresql_where=sa.text("unheld_at IS NOT NULL"),
    )
    op.add_column(
        "uploads",
        sa.Column("epoch", sa.BigInteger(), nullable=False, server_default="0"),
        schema="storage",
    )
    op.add_column("uploads", sa.Column("writer", sa.Uuid(), nullable=True), schema="storage")
    op.add_column(
        "uploads",
        sa.Column("leased_until", sa.DateTime(timezone=True), nullable=True),
        schema="storage",
    )
    op.add_column("uploads", sa.Column("tus_metadata", sa.Text(), nullable=True), schema="storage")
    op.add_column("uploads", sa.Column("tus_concat", sa.Text(), nullable=True), schema="storage")
    op.add_column(
        "uploads", sa.Column("source_ids", sa.ARRAY(sa.Uuid()), nullable=True), schema="storage"
    )
    op.add_column("uploads", sa.Column("direct_id", sa.Text(), nullable=True), schema="storage")
    op.add_column(
        "uploads", sa.Column("idempotency_key", sa.Text(), nullable=True), schema="storage"
    )
    op.alter_column("deletions", "size_bytes", server_default=None, schema="storage")
    op.alter_column("uploads", "epoch", server_default=None, schema="storage")
    op.create_index(
        "ix_uploads_under_way",
        "uploads",
        ["owner_id"],
        unique=False,
        schema="storage",
        postgresql_where=sa.text("expires_at IS NOT NULL"),
    )
    op.create_index(
        "ix_uploads_verifying",
        "uploads",
        ["id"],
        unique=False,
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
    op.drop_index("ix_files_owner_id_id", table_name="files", schema="storage")
    op.create_index(
        "ix_files_owner_id_id",
        "files",
        ["owner_id", "id"],
        unique=False,
        schema="storage",
        postgresql_where=sa.text("deleted_at IS NULL AND let_go_at IS NULL"),
    )


def downgrade() -> None:
    op.drop_index(
        "uq_uploads_idempotency_key",
        table_name="uploads",
        schema="storage",
        postgresql_where=sa.text("idempotency_key IS NOT NULL"),
    )
    op.drop_index(
        "ix_uploads_under_way",
        table_name="uploads",
        schema="storage",
        postgresql_where=sa.text("expires_at IS NOT NULL"),
    )
    op.drop_index(
        "ix_uploads_verifying",
        table_name="uploads",
        schema="storage",
        postgresql_where=sa.text("state = 'verifying'"),
    )
    op.drop_column("uploads", "idempotency_key", schema="storage")
    op.drop_column("uploads", "direct_id", schema="storage")
    op.drop_column("uploads", "source_ids", schema="storage")
    op.drop_column("uploads", "tus_concat", schema="storage")
    op.drop_column("uploads", "tus_metadata", schema="storage")
    op.drop_column("uploads", "leased_until", schema="storage")
    op.drop_column("uploads", "writer", schema="storage")
    op.drop_column("uploads", "epoch", schema="storage")
    op.drop_index("ix_files_owner_id_id", table_name="files", schema="storage")
    op.create_index(
        "ix_files_owner_id_id",
        "files",
        ["owner_id", "id"],
        unique=False,
        schema="storage",
        postgresql_where=sa.text("deleted_at IS NULL"),
    )
    op.drop_index("ix_files_unheld_at", table_name="files", schema="storage")
    op.drop_column("files", "unheld_at", schema="storage")
    op.drop_column("files", "let_go_at", schema="storage")
    op.drop_column("deletions", "size_bytes", schema="storage")
    op.drop_column("deletions", "direct_id", schema="storage")
    op.drop_index("ix_claims_link_id", table_name="claims", schema="storage")
    op.drop_index("ix_claims_expires_at", table_name="claims", schema="storage")
    op.drop_table("claims", schema="storage")
    op.drop_table("segments", schema="storage")
    op.drop_index("ix_links_file_id", table_name="links", schema="storage")
    op.drop_table("links", schema="storage")
    op.drop_index("ix_former_holders_ended_at", table_name="former_holders", schema="storage")
    op.drop_table("former_holders", schema="storage")
    op.drop_index("ix_holds_asked", table_name="holds", schema="storage")
    op.drop_index("ix_holds_holder_id", table_name="holds", schema="storage")
    op.drop_index("ix_holds_group_id", table_name="holds", schema="storage")
    op.drop_table("holds", schema="storage")
    op.drop_index("ix_grants_user_id_file_id", table_name="grants", schema="storage")
    op.drop_table("grants", schema="storage")
