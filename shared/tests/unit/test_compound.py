"""Statements of several parts: numbers of arguments, and that equal parts give equal text."""

from sharezync_shared.db.bulk_insert import Compound


def test_each_part_counts_its_arguments_from_one() -> None:
    statement = Compound()
    statement.add("a AS (SELECT $1::int, $2::int)", 1, 2)
    statement.add("b AS (SELECT 1)")
    statement.add("c AS (SELECT $2::int, $1::int, $12::int)", *range(10, 22))
    assert statement.text("SELECT * FROM c") == (
        "WITH a AS (SELECT $1::int, $2::int), b AS (SELECT 1), "
        "c AS (SELECT $4::int, $3::int, $14::int) SELECT * FROM c"
    )
    assert statement.arguments == [1, 2, *range(10, 22)]


def test_the_same_parts_give_the_same_text_whatever_their_arguments() -> None:
    texts = set()
    for value in range(3):
        statement = Compound()
        statement.add("a AS (SELECT $1::int)", value)
        statement.add("b AS (SELECT $1::int)", value)
        texts.add(statement.text("SELECT"))
    assert len(texts) == 1
