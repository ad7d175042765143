"""Migrations do nothing that the release before can't work beside; and what does is noticed."""

from pathlib import Path
from textwrap import indent

import pytest

from sharezync_embedded.compose import MIGRATIONS
from sharezync_shared.db.migrations import Migrations
from tests.migration_rules import faults_in

_HEAD = """
import sqlalchemy as sa
from alembic import op

revision = "{revision}"
down_revision = {before!r}
{exceptions}

def upgrade():
"""
_FIRST = """
op.create_table("notes", sa.Column("id", sa.Uuid(), nullable=False), schema="notes")
op.create_index("ix_notes_id", "notes", ["id"], schema="notes")
"""

PLANTED = {
    "adding-required-field": "op.add_column('notes', sa.Column('a', sa.Text(), nullable=False), "
    "schema='notes')",
    "adding-field-with-default": "op.execute('ALTER TABLE notes.notes ADD COLUMN a uuid "
    "DEFAULT gen_random_uuid()')",
    "adding-not-nullable-field": "op.alter_column('notes', 'a', nullable=False, schema='notes')",
    "ban-drop-column": "op.drop_column('notes', 'id', schema='notes')",
    "ban-drop-table": "op.drop_table('notes', schema='notes')",
    "renaming-column": "op.alter_column('notes', 'id', new_column_name='key', schema='notes')",
    "renaming-table": "op.rename_table('notes', 'papers', schema='notes')",
    "changing-column-type": "op.alter_column('notes', 'id', type_=sa.BigInteger(), schema='notes')",
    "require-concurrent-index-creation": "op.create_index('ix', 'notes', ['a'], schema='notes')",
    "require-concurrent-index-deletion": "op.drop_index('ix_notes_id', 'notes', schema='notes')",
    "ban-concurrent-index-creation-in-transaction": "op.create_index('ix', 'notes', ['a'], "
    "schema='notes', postgresql_concurrently=True, if_not_exists=True)",
    "constraint-missing-not-valid": "op.create_check_constraint('ck', 'notes', 'a > 0', "
    "schema='notes')",
    "adding-foreign-key-constraint": "op.create_foreign_key('fk', 'notes', 'users', ['a'], ['id'], "
    "source_schema='notes', referent_schema='notes')",
    "disallowed-unique-constraint": "op.create_unique_constraint('uq', 'notes', ['id'], "
    "schema='notes')",
    "rewrites-rows": "op.execute(\"UPDATE notes.notes SET text = ''\")",
    "locks-long": "op.execute('LOCK TABLE notes.notes')",
    "lock-timeout": "op.execute(\"SET lock_timeout = '1h'\")\n"
    "op.add_column('notes', sa.Column('a', sa.Text()), schema='notes')",
    "unrepeatable": "with op.get_context().autocommit_block():\n"
    "    op.create_index('ix', 'notes', ['a'], schema='notes', postgresql_concurrently=True)",
}
"""For each rule a migration that breaks it."""

WITHOUT_WAITING = """
op.add_column("notes", sa.Column("a", sa.Text(), server_default="", nullable=False), schema="notes")
op.add_column("notes", sa.Column("b", sa.Text(), nullable=True), schema="notes")
op.create_check_constraint("ck", "notes", "a > 0", schema="notes", postgresql_not_valid=True)
with op.get_context().autocommit_block():
    op.execute("ALTER TABLE notes.notes VALIDATE CONSTRAINT ck")
    op.execute("SET lock_timeout = 0")
    op.drop_index("ix", "notes", schema="notes", postgresql_concurrently=True, if_exists=True)
    op.create_index(
        "ix", "notes", ["a"], schema="notes", postgresql_concurrently=True, if_not_exists=True
    )
    op.execute("SET lock_timeout = '3s'")
"""


class PlantedMigrations:
    """A folder of migrations of which the second one is what a test says."""

    def __init__(self, folder: Path) -> None:
        self.package = str(folder)
        (folder / "versions").mkdir()
        (folder / "env.py").write_text(
            "from sqlalchemy import MetaData\n"
            "from sharezync_shared.db.migrating import run_env\n"
            "run_env(MetaData(schema='notes'))\n"
        )
        self._folder = folder / "versions"
        self._write("0001", None, _FIRST)

    def faults(self, body: str, *, exceptions: dict[str, str] | None = None) -> list[str]:
        self._write("0002", "0001", body, exceptions)
        return faults_in(self.package)

    def _write(
        self,
        revision: str,
        before: str | None,
        body: str,
        exceptions: dict[str, str] | None = None,
    ) -> None:
        told = f"LINT_EXCEPTIONS = {exceptions!r}" if exceptions else ""
        head = _HEAD.format(revision=revision, before=before, exceptions=told)
        (self._folder / f"{revision}_it.py").write_text(head + indent(body.strip(), "    ") + "\n")


@pytest.fixture
def planted(tmp_path: Path) -> PlantedMigrations:
    return PlantedMigrations(tmp_path)


@pytest.mark.parametrize("migrations", MIGRATIONS, ids=lambda each: each.schema)
def test_the_release_before_can_serve_while_it_is_migrated(migrations: Migrations) -> None:
    assert faults_in(migrations.package) == []


@pytest.mark.parametrize("rule", PLANTED)
def test_a_migration_that_breaks_a_rule_is_told(planted: PlantedMigrations, rule: str) -> None:
    assert [each for each in planted.faults(PLANTED[rule]) if f"0002 breaks {rule}: " in each]


def test_what_no_one_has_to_wait_for_is_allowed(planted: PlantedMigrations) -> None:
    assert planted.faults(WITHOUT_WAITING) == []


def test_a_migration_that_reads_rows_first_can_not_be_printed(planted: PlantedMigrations) -> None:
    with pytest.raises(AttributeError):
        planted.faults("op.get_bind().execute(sa.text('SELECT 1')).all()")


def test_an_exception_has_a_reason_and_something_to_allow(planted: PlantedMigrations) -> None:
    drop = PLANTED["ban-drop-table"]
    reason = "no release reads it since 0.2"
    assert planted.faults(drop, exceptions={"ban-drop-table": reason}) == []
    assert planted.faults(drop, exceptions={"ban-drop-table": ""}) == [
        "0002 allows ban-drop-table without a reason"
    ]
    assert planted.faults(
        drop, exceptions={"ban-drop-table": reason, "ban-drop-column": reason}
    ) == ["0002 allows ban-drop-column, which it doesn't break"]
