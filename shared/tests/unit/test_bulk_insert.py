"""Rows as arrays: types are those of the table, and lists travel as literals."""

from typing import NamedTuple
from uuid import UUID

from sqlalchemy import ARRAY, BigInteger, Column, DateTime, MetaData, Table, Text, Uuid

from sharezync_shared.db.bulk_insert import BulkInsert

NOTES = Table(
    "notes",
    MetaData(schema="post"),
    Column("id", Uuid),
    Column("text", Text),
    Column("seq", BigInteger),
    Column("readers", ARRAY(Uuid())),
    Column("at", DateTime(timezone=True)),
    Column("left_alone", Text),
)


class NoteRow(NamedTuple):
    id: UUID
    readers: list[UUID]
    seq: int


def test_the_statement_names_the_columns_of_the_row_with_the_types_of_the_table() -> None:
    assert BulkInsert(NOTES, NoteRow, only_if="appending").statement == (
        "INSERT INTO post.notes (id, readers, seq) SELECT r.id, r.readers::UUID[], r.seq "
        "FROM unnest($1::UUID[], $2::text[], $3::BIGINT[]) AS r(id, readers, seq), appending"
    )
    assert BulkInsert(NOTES, NoteRow).statement.endswith("AS r(id, readers, seq)")


def test_rows_become_columns_as_many_where_there_are_none() -> None:
    insert = BulkInsert(NOTES, NoteRow)
    one, two = UUID(int=1), UUID(int=2)
    assert insert.arguments([NoteRow(one, [], 1), NoteRow(two, [one, two], 2)]) == [
        [one, two],
        ["{}", f"{{{one},{two}}}"],
        [1, 2],
    ]
    assert insert.arguments([]) == [[], [], []]
