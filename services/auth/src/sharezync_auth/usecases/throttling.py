"""Login attempts: counted before the password is checked, uncounted where it is right.

Every password check goes through here. A hundred concurrent guesses are a hundred failures, in any
number of processes: each is counted in a short transaction of its own, serialised with all that
share one of its counts. How long a client must wait is decided in `backoff.py`.
"""

import asyncio
import hashlib
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Final, Literal, Self
from uuid import UUID
from weakref import WeakValueDictionary

from sharezync_auth import access, backoff
from sharezync_auth.backoff import BackoffRule, FailureCount, FailureCounts
from sharezync_auth.errors import TooManyTries, WrongPassword
from sharezync_auth.metrics import AuthMetrics
from sharezync_auth.models import Session
from sharezync_auth.names import email_key
from sharezync_auth.passwords import Passwords
from sharezync_auth.settings import AuthSettings
from sharezync_shared.addresses import bucket_of
from sharezync_shared.ids import UserId
from sharezync_shared.problems import Unavailable
from sharezync_shared.streams.log import Connection
from sharezync_shared.tokens.claims import Identity
from sharezync_shared.work import UnitsOfWork

_KNOWN_FOR: Final = timedelta(days=30)
"""An address from which the account was used so lately is one of its own."""

_NOBODY: Final = UUID(int=0)


@dataclass(frozen=True, slots=True)
class LoginAttempt:
    """What a try is counted by: keys of the table `throttles`."""

    operation: Literal["login", "change"]
    account: str
    pair: str
    address: str | None = None
    bucket: str = ""
    user_id: UUID = _NOBODY

    @property
    def caller(self) -> str:
        """Who waits in turn for the password to be hashed."""
        return self.bucket or self.account

    @classmethod
    def of_login(cls, *, username: str, user_id: UUID | None, address: str) -> Self:
        """Return that of a login: a name that nobody has is counted as an account would be."""
        name = hashlib.sha256(email_key(username).encode()).hexdigest()
        account = f"name:{name}" if user_id is None else f"user:{user_id}"
        bucket = bucket_of(address)
        pair = f"pair:{account}@{bucket}"
        return cls("login", account, pair, f"address:{bucket}", bucket, user_id or _NOBODY)

    @classmethod
    def of_session(cls, caller: Identity) -> Self:
        """Return that of somebody logged in: their session takes the place of an address."""
        account = f"user:{caller.user_id}"
        return cls("change", account, f"pair:{account}@session:{caller.session_id}")

    @property
    def keys(self) -> list[str]:
        """Those of its counts, in the order of `FailureCounts`."""
        return [key for key in (self.account, self.pair, self.address) if key]


class LoginThrottle:
    """Lets passwords be looked at, as often as their account and their address allow."""

    def __init__(
        self, work: UnitsOfWork, passwords: Passwords, settings: AuthSettings, metrics: AuthMetrics
    ) -> None:
        longest = settings.login_max_wait_seconds
        self._account = BackoffRule(settings.login_free_failures, longest)
        self._address = BackoffRule(settings.login_free_failures_per_address, longest)
        self._recent_login_seconds = settings.trusted_login_seconds
        self._work = work
        self._passwords = passwords
        self._metrics = metrics
        self._counting = WeakValueDictionary[str, asyncio.Lock]()

    async def check(
        self, trial: LoginAttempt, *, password: str, stored: str | None
    ) -> tuple[bool, str | None]:
        """Return whether the password is right, and a better hash to store (`Passwords.verify`).

        Raises TooManyTries, or Unavailable where too many passwords wait to be hashed; neither
        try counts.
        """
        tries = partial(self._metrics.tries.labels, trial.operation)
        try:
            before, after = await self._count(trial)
        except TooManyTries:
            tries("throttled").inc()
            raise
        try:
            right, renewed = await self._passwords.verify(password, stored, caller=trial.caller)
        except Unavailable:
            tries("overloaded").inc()
            await self._take_back(trial, before, after, right=False)
            raise
        tries("right" if right else "wrong").inc()
        if right:
            await self._take_back(trial, before, after, right=True)
        return right, renewed

    async def confirm(self, caller: Identity, password: str | None) -> str | None:
        """Return the stored hash that the caller's own password matches.

        It is asked for before an account goes, or goes over into other hands: a token alone may
        have leaked. Without a password: None, unless they gave it to log in a moment ago. Raises
        WrongPassword; TooManyTries or Unavailable where nobody looked at it.
        """
        async with self._work.read() as unit:
            stored = (await access.own_account(unit, caller.user_id)).password_hash
            since = unit.now - timedelta(seconds=self._recent_login_seconds)
            session = await unit.get(Session, caller.session_id)
        if password is None:
            return stored if session and session.created_at > since else None
        trial = LoginAttempt.of_session(caller)
        right, _ = await self.check(trial, password=password, stored=stored)
        if not right:
            raise WrongPassword
        return stored

    async def _count(self, trial: LoginAttempt) -> tuple[FailureCounts, FailureCounts]:
        """Count a try as a failure; return the counts before and after it."""
        async with self._transaction(trial) as connection:
            before = FailureCounts(*map((await _lock(connection, trial)).get, trial.keys))
            now = self._work.now()
            await self._refuse_if_waiting(connection, trial, before, now)
            by_address = self._address if trial.address else None
            after = backoff.failed(before, now, account=self._account, address=by_address)
            await _write(connection, dict(zip(trial.keys, after, strict=False)))
        return before, after

    @asynccontextmanager
    async def _transaction(self, trial: LoginAttempt) -> AsyncGenerator[Connection]:
        """Begin a transaction for the counts of a try, one at a time in this process.

        Tries that share a count would wait for each other's locks on as many connections, until
        none is left for others.
        """
        async with AsyncExitStack() as stack:
            for key in sorted(filter(None, (trial.account, trial.address))):
                lock = self._counting.setdefault(key, asyncio.Lock())
                await stack.enter_async_context(lock)
            pool = await self._work.database.pool()
            connection = await stack.enter_async_context(pool.acquire())
            await stack.enter_async_context(connection.transaction())
            yield connection

    async def _refuse_if_waiting(
        self, connection: Connection, trial: LoginAttempt, counts: FailureCounts, now: datetime
    ) -> None:
        by_account = backoff.remaining(counts.pair, now)
        by_address = backoff.remaining(counts.address, now)
        # Asked for names that nobody has as well: it must take as long.
        if by_address and await _is_known_address(connection, trial, now):
            by_address = None
        if by_account:
            self._metrics.throttled_by_account.inc()
        elif by_address:
            self._metrics.throttled_by_address.inc()
        waits = [wait for wait in (by_account, by_address) if wait]
        if waits:
            raise TooManyTries(wait=max(waits))

    async def _take_back(
        self, trial: LoginAttempt, before: FailureCounts, after: FailureCounts, *, right: bool
    ) -> None:
        """Undo one try. Of the pair nothing stays where the password was right."""
        async with self._transaction(trial) as connection:
            present = await _lock(connection, trial)
            rows = {
                key: backoff.taken_back(present.get(key), before=old, after=new)
                for key, old, new in zip(trial.keys, before, after, strict=False)
                if new
            }
            if right:
                rows[trial.pair] = None
            await _write(connection, rows)


async def forget(connection: Connection, user_id: UserId) -> None:
    """Forget what was counted of an account that goes, in the caller's transaction.

    What is counted of an address alone stays: that is nobody's in particular.
    """
    account = f"user:{user_id}"
    # Whoever holds one of these rows holds the account's lock.
    await connection.execute("SELECT pg_advisory_xact_lock($1)", _lock_of(account))
    await connection.execute(
        "DELETE FROM auth.throttles WHERE key = $1 OR (key > $2 AND key < $2 || chr(1114111))",
        account,
        f"pair:{account}@",
    )


async def _lock(connection: Connection, trial: LoginAttempt) -> dict[str, FailureCount]:
    """Return the counts of a try; nobody else reads or writes them until the commit.

    By advisory locks, taken in order, so that two tries never wait for each other in a circle:
    most rows don't exist yet, and what doesn't exist can't be locked itself.
    """
    locks = sorted({_lock_of(key) for key in trial.keys})
    await connection.execute("SELECT pg_advisory_xact_lock(l) FROM unnest($1::bigint[]) l", locks)
    records = await connection.fetch(
        "SELECT key, failures, failed_at, blocked_until FROM auth.throttles WHERE key = ANY($1)",
        trial.keys,
    )
    return {key: FailureCount(*rest) for key, *rest in records}


async def _write(connection: Connection, rows: dict[str, FailureCount | None]) -> None:
    gone = [key for key, count in rows.items() if count is None]
    if gone:
        await connection.execute("DELETE FROM auth.throttles WHERE key = ANY($1)", gone)
    kept = [
        (key, count.failures, count.failed_at, count.blocked_until)
        for key, count in sorted(rows.items())
        if count is not None
    ]
    if kept:
        await connection.execute(
            "INSERT INTO auth.throttles (key, failures, failed_at, blocked_until) "
            "SELECT * FROM unnest($1::text[], $2::int[], $3::timestamptz[], $4::timestamptz[]) "
            "ON CONFLICT (key) DO UPDATE SET failures = excluded.failures, "
            "failed_at = excluded.failed_at, blocked_until = excluded.blocked_until",
            *zip(*kept, strict=True),
        )


async def _is_known_address(connection: Connection, trial: LoginAttempt, now: datetime) -> bool:
    records = await connection.fetch(
        "SELECT DISTINCT address FROM auth.sessions WHERE user_id = $1 AND last_used_at > $2",
        trial.user_id,
        now - _KNOWN_FOR,
    )
    return any(bucket_of(record["address"]) == trial.bucket for record in records)


def _lock_of(key: str) -> int:
    digest = hashlib.sha256(f"sharezync-throttle {key}".encode()).digest()
    return int.from_bytes(digest[:8], signed=True)
