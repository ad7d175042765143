"""Accounts of another installation come in, many at a time."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from uuid import UUID

from sharezync_auth.names import email_key
from sharezync_shared.events import contracts as facts
from sharezync_shared.ids import UserId, uuid7
from sharezync_shared.names.usernames import data_version, skeleton_of
from sharezync_shared.text import key_of
from sharezync_shared.work import UnitOfWork, UnitsOfWork


@dataclass(frozen=True)
class ImportedUser:
    """Who is to come in; valid, and the keys and the skeleton unlike all others of the batch."""

    username: str
    email: str
    password_hash: str

    @cached_property
    def username_key(self) -> str:
        return key_of(self.username)

    @cached_property
    def skeleton(self) -> str:
        return skeleton_of(self.username)

    @cached_property
    def email_key(self) -> str:
        return email_key(self.email)


class ImportOutcome(Enum):
    ADDED = "added"
    ALREADY_THERE = "already there"
    """With this name and this address; nothing was changed, the password neither."""
    USERNAME_TAKEN = "username: somebody else has it"
    LOOKALIKE = "username: looks like somebody else's"
    EMAIL_TAKEN = "email: somebody else has it"
    BOTH_TAKEN = "username, email: somebody else has them"


async def add(
    work: UnitsOfWork, batch: Sequence[ImportedUser], *, dry_run: bool = False
) -> list[ImportOutcome]:
    """Make accounts in one transaction; return what became of each, in order. Safe to repeat.

    With `dry_run`, nothing is changed, and ADDED are those that would be.
    """
    async with work.begin() as unit:
        outcomes = await _look(unit, batch)
        fresh = [one for one in batch if outcomes[one] is ImportOutcome.ADDED]
        if dry_run or not fresh:
            return [outcomes[one] for one in batch]
        ids = await _insert(unit, fresh)
        late = [one for one in fresh if one.username_key not in ids]
        if late:  # somebody came in between
            outcomes |= await _look(unit, late)
        for one in fresh:
            if user_id := ids.get(one.username_key):
                unit.emit(
                    facts.UserRegistered(
                        user_id=UserId(user_id), username=one.username, display_name=one.username
                    )
                )
    return [outcomes[one] for one in batch]


async def _look(
    unit: UnitOfWork, batch: Sequence[ImportedUser]
) -> dict[ImportedUser, ImportOutcome]:
    found = await (await unit.raw()).fetch(
        "SELECT id, username_key, email_key, username_skeleton FROM auth.users "
        "WHERE username_key = ANY($1) OR email_key = ANY($2) "
        # As the two partial indexes have it.
        "OR (username_skeleton = ANY($3) AND NOT skeleton_shared) "
        "OR (username_skeleton = ANY($3) AND skeleton_shared)",
        [one.username_key for one in batch],
        [one.email_key for one in batch],
        [one.skeleton for one in batch],
    )
    by_name = {row["username_key"]: row["id"] for row in found}
    by_email = {row["email_key"]: row["id"] for row in found}
    seen = {row["username_skeleton"] for row in found}
    return {
        one: _outcome(
            by_name.get(one.username_key), by_email.get(one.email_key), one.skeleton in seen
        )
        for one in batch
    }


def _outcome(with_name: UUID | None, with_email: UUID | None, alike: bool) -> ImportOutcome:  # noqa: FBT001 - it stays in here
    if with_name is None and with_email is None:
        return ImportOutcome.LOOKALIKE if alike else ImportOutcome.ADDED
    if with_email is None:
        return ImportOutcome.USERNAME_TAKEN
    if with_name is None:
        return ImportOutcome.EMAIL_TAKEN
    return ImportOutcome.ALREADY_THERE if with_name == with_email else ImportOutcome.BOTH_TAKEN


async def _insert(unit: UnitOfWork, batch: Sequence[ImportedUser]) -> dict[str, UUID]:
    """Return the ids of those who came in, by the key of their names."""
    # In the order of keys: two imports at once wait for each other rather than in a circle.
    ordered = sorted(batch, key=lambda one: one.username_key)
    rows = await (await unit.raw()).fetch(
        "INSERT INTO auth.users (id, username, username_key, email, email_key, password_hash, "
        "username_skeleton, skeleton_version, display_name, bio, created_at, updated_at) "
        "SELECT n.id, n.username, n.username_key, n.email, n.email_key, n.hash, n.skeleton, $9, "
        "n.username, '', $8, $8 FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], "
        "$5::text[], $6::text[], $7::text[]) "
        "AS n(id, username, username_key, email, email_key, hash, skeleton) "
        "ON CONFLICT DO NOTHING RETURNING id, username_key",
        [uuid7() for _ in ordered],
        [one.username for one in ordered],
        [one.username_key for one in ordered],
        [one.email for one in ordered],
        [one.email_key for one in ordered],
        [one.password_hash for one in ordered],
        [one.skeleton for one in ordered],
        unit.now,
        data_version(),
    )
    return {row["username_key"]: row["id"] for row in rows}
