"""Usernames that look like somebody's: one account to each skeleton (UTS #39 §4).

The partial unique index keeps two apart who register at the same moment. Accounts that looked
alike before this was watched keep their names: the first has the skeleton for itself, the others
share it, are in no unique index, and are looked up by `is_shared`.
"""

from collections.abc import Collection, Iterable
from typing import Final
from uuid import UUID

from sqlmodel import col, select

from sharezync_auth.models import User
from sharezync_shared.names.usernames import data_version, skeleton_of
from sharezync_shared.work import UnitOfWork, UnitsOfWork

_BATCH: Final = 500


async def is_shared(unit: UnitOfWork, skeleton: str, *, but: UUID) -> bool:
    """Return whether an account besides `but` has this skeleton, and is in no unique index."""
    found = await unit.session.exec(
        select(User.id).where(
            User.username_skeleton == skeleton, col(User.skeleton_shared), User.id != but
        )
    )
    return found.first() is not None


async def fill(work: UnitsOfWork) -> int:
    """Make skeletons of a batch of accounts that have none, or one of older data; return how many.

    Nobody's name changes. Safe to repeat, and in several replicas at once: each takes accounts
    that no other holds. Where somebody registers a lookalike at this moment, the database refuses
    the batch, and the next try sees them.
    """
    async with work.begin() as unit:
        connection = await unit.raw()
        rows = await connection.fetch(
            "SELECT id, username FROM auth.users WHERE skeleton_version < $1 "
            "ORDER BY skeleton_version, id LIMIT $2 FOR UPDATE SKIP LOCKED",
            data_version(),
            _BATCH,
        )
        if not rows:
            return 0
        made = {row["id"]: skeleton_of(row["username"]) for row in rows}
        taken = await connection.fetch(
            "SELECT username_skeleton FROM auth.users WHERE username_skeleton = ANY($1) "
            "AND NOT skeleton_shared AND id <> ALL($2)",
            list(made.values()),
            list(made),
        )
        late = those_later(made.items(), {row["username_skeleton"] for row in taken})
        # The old ones go first: they may be the new ones of others of this batch.
        await connection.execute(
            "UPDATE auth.users SET username_skeleton = NULL WHERE id = ANY($1)", list(made)
        )
        await connection.execute(
            "UPDATE auth.users AS u SET username_skeleton = n.skeleton, skeleton_version = $4, "
            "skeleton_shared = n.id = ANY($3) "
            "FROM unnest($1::uuid[], $2::text[]) AS n(id, skeleton) WHERE u.id = n.id",
            list(made),
            list(made.values()),
            list(late),
            data_version(),
        )
    return len(made)


def those_later(made: Iterable[tuple[UUID, str]], taken: Collection[str]) -> set[UUID]:
    """Return those whose skeleton is taken, or is another's who comes before them. Pure."""
    seen = set(taken)
    late: set[UUID] = set()
    for user_id, skeleton in made:
        if skeleton in seen:
            late.add(user_id)
        seen.add(skeleton)
    return late
