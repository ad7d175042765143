"""Texts that were stored before they had a policy: cleaned by a migration, once."""

from typing import Final

import sqlalchemy as sa

from sharezync_shared.names.policies import Policy

# Lines of ASCII with one space between words are clean.
_SUSPECT: Final = "{column} ~ '[^ -~]|  |^ | $'"


def clean_older(
    connection: sa.Connection, table: str, column: str, policy: Policy, *, instead: str = "''"
) -> None:
    """Clean a column of a table with the key `id` as `policy` does what comes in today.

    `instead` is an expression of SQL for what is put where nothing is left to be seen; what is too
    long is cut. Only rows that change are written, and none that somebody changed meanwhile. All
    three names are of our own migrations. Safe to repeat.
    """
    where = _SUSPECT.format(column=column)
    rows = connection.execute(sa.text(f"SELECT id, {column} AS text FROM {table} WHERE {where}"))  # noqa: S608 - text of ours
    changed = [
        {"row_id": row.id, "old": row.text, "new": new}
        for row in rows
        if (new := policy.cleaned(row.text)[: policy.max_characters].rstrip()) != row.text
    ]
    if changed:
        connection.execute(
            sa.text(
                f"UPDATE {table} SET {column} = coalesce(nullif(:new, ''), {instead}) "  # noqa: S608 - as above
                f"WHERE id = :row_id AND {column} = :old"
            ),
            changed,
        )
