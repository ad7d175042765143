"""Texts that were stored before they had a policy: cleaned once."""

from typing import Final
from uuid import UUID

import sqlalchemy as sa

from sharezync_shared.names.policies import Policy

# Lines of ASCII with one space between words are clean, whichever the policy.
_SUSPECT: Final = "{column} ~ '[^ -~]|  |^ | $'"
_BATCH: Final = 1000


def cleaned_older(policy: Policy, text: str) -> str:
    """Return `text` as `policy` would have kept it; what is then too long is cut. Pure."""
    kept = policy.cleaned(text)[: policy.max_characters]
    return kept.rstrip() if policy.strips else kept


def clean_older(
    connection: sa.Connection, table: str, column: str, policy: Policy, *, instead: str = "''"
) -> None:
    """Clean a column of a table with the key `id` as `policy` does what comes in today.

    `instead` is an expression of SQL for what is put where nothing is left to be seen; what is too
    long is cut. Only rows that change are written, and none that somebody changed meanwhile. All
    three names are of our own migrations. Safe to repeat.
    """
    where = _SUSPECT.format(column=column)
    page = sa.text(
        f"SELECT id, {column} AS text FROM {table} "  # noqa: S608 - text of ours
        f"WHERE {where} AND id > :after ORDER BY id LIMIT {_BATCH}"
    )
    changed = []
    after = UUID(int=0)
    while rows := connection.execute(page, {"after": after}).all():
        after = rows[-1].id
        changed += [
            {"row_id": row.id, "old": row.text, "new": new}
            for row in rows
            if (new := cleaned_older(policy, row.text)) != row.text
        ]
    if changed:
        connection.execute(
            sa.text(
                f"UPDATE {table} SET {column} = coalesce(nullif(:new, ''), {instead}) "  # noqa: S608 - as above
                f"WHERE id = :row_id AND {column} = :old"
            ),
            changed,
        )
