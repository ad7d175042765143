"""Hashing of passwords: dear on purpose, off the event loop, and never without bound.

argon2id with 19 MiB, two passes, one lane (OWASP's minimum). bcrypt hashes of an older
installation verify, with the password as typed and cut after 72 bytes, and are to be renewed.

What a wrong password costs must not show whose it was, or which names exist. While bcrypt hashes
are left, a failed try pays for one check of every kind there is (argon2id, and bcrypt of each cost
that occurs): for its own kind the account's hash, for all others a dummy.
"""

import base64
import re
import secrets
import string
import unicodedata
from collections.abc import Callable, Collection
from typing import Final, TypeVar

import bcrypt
from pwdlib.hashers.argon2 import Argon2Hasher

from sharezync_auth.metrics import AuthMetrics
from sharezync_shared.threads import FairThreads

MIN_CHARACTERS: Final = 8
MAX_BYTES: Final = 256
"""Enough for any sentence; a megabyte would be a cheap way to keep a thread."""

_TIME_COST: Final = 2
_MEMORY_KIB: Final = 19 * 1024
_LANES: Final = 1

MAX_BCRYPT_COST: Final = 16
"""4 s of a core. Each failed login pays for every cost that occurs: with one hash that takes a
minute, a few wrong passwords of anybody's would keep all threads."""

_BCRYPT_BYTES: Final = 72
"""bcrypt reads no more, and its library refuses to be given more."""
_BCRYPT: Final = re.compile(r"\$2[aby]\$(0[4-9]|[12]\d|3[01])\$[./A-Za-z0-9]{53}")
"""Not `$2x$`: those were made by a broken implementation, and hardly anything verifies them."""
_BCRYPT_LETTERS: Final = "./" + string.ascii_letters + string.digits

_ARGON2: Final = "$argon2id$"

Result = TypeVar("Result")


def bcrypt_cost(stored: str) -> int | None:
    """Return the cost of a bcrypt hash (2 to its power are its rounds); None if it is none."""
    found = _BCRYPT.fullmatch(stored)
    return int(found[1]) if found else None


def prepared(password: str) -> str:
    """Return a password in the form that is hashed: RFC 8265 §4.2.2, forbidding nothing.

    So one typed on another keyboard, or another system, is the same.
    """
    spaced = "".join(" " if unicodedata.category(c) == "Zs" else c for c in password)
    return unicodedata.normalize("NFC", spaced)


class Passwords:
    """Hashes and checks passwords on a few threads of its own. `close` ends them."""

    def __init__(self, *, threads: int, queue: int, metrics: AuthMetrics) -> None:
        self._argon2 = Argon2Hasher(
            time_cost=_TIME_COST, memory_cost=_MEMORY_KIB, parallelism=_LANES
        )
        self._argon2_dummy = _argon2_dummy()
        self._bcrypt_dummies: dict[int, str] = {}
        self._threads = FairThreads(
            "passwords", threads=threads, queue=queue, refusal="Too many concurrent logins"
        )
        self._metrics = metrics

    def expect_bcrypt(self, costs: Collection[int]) -> None:
        """Set which costs of bcrypt hashes are left: each failed try pays for one of each."""
        kinds = sorted(cost for cost in costs if cost <= MAX_BCRYPT_COST)
        self._bcrypt_dummies = {
            cost: self._bcrypt_dummies.get(cost) or _bcrypt_dummy(cost) for cost in kinds
        }

    async def hash(self, password: str, *, caller: str) -> str:
        """Return a hash to store. Raises Unavailable when too many wait already.

        `caller` is an address (`bucket_of`), or the user where there is one: they take turns.
        """
        return await self._run(lambda: self._argon2.hash(prepared(password)), caller)

    async def verify(
        self, password: str, stored: str | None, *, caller: str
    ) -> tuple[bool, str | None]:
        """Return whether the password is right, and a better hash to store instead, if any.

        `stored` None stands for a user that does not exist, and costs the same time; so does a
        password over MAX_BYTES. Raises Unavailable, unchecked, when too many wait already. Goes
        before `hash`: who has an account gets in while others register.
        """
        if len(password.encode()) > MAX_BYTES:
            password, stored = "", None
        cost = bcrypt_cost(stored) if stored else None
        if cost is not None and cost not in self._bcrypt_dummies:
            # Imported a moment ago. Unknown names pay for it as well from now on.
            self.expect_bcrypt({*self._bcrypt_dummies, cost})
        return await self._run(lambda: self._verify(password, stored), caller, urgent=True)

    def close(self) -> None:
        """End the threads; what they still hash is lost."""
        self._threads.close()

    def _verify(self, password: str, stored: str | None) -> tuple[bool, str | None]:
        if stored is not None and self._matches(password, stored):
            return True, self._renewed(password, stored)
        if stored is None or not stored.startswith(_ARGON2):
            self._matches(password, self._argon2_dummy)
        own_cost = bcrypt_cost(stored) if stored else None
        for cost, dummy in self._bcrypt_dummies.items():
            if cost != own_cost:
                self._matches(password, dummy)
        return False, None

    def _matches(self, password: str, stored: str) -> bool:
        if bcrypt_cost(stored) is not None:
            return bcrypt.checkpw(password.encode()[:_BCRYPT_BYTES], stored.encode())
        return self._argon2.verify(prepared(password), stored)

    def _renewed(self, password: str, stored: str) -> str | None:
        if bcrypt_cost(stored) is None and not self._argon2.check_needs_rehash(stored):
            return None
        return self._argon2.hash(prepared(password))

    async def _run(
        self, work: Callable[[], Result], caller: str, *, urgent: bool = False
    ) -> Result:
        def timed() -> Result:
            with self._metrics.hashing_seconds.time():
                return work()

        with self._metrics.hashing.track_inprogress():
            return await self._threads.run(timed, caller=caller, urgent=urgent)


def _argon2_dummy() -> str:
    salt, digest = (
        base64.b64encode(secrets.token_bytes(size)).decode().rstrip("=") for size in (16, 32)
    )
    return f"$argon2id$v=19$m={_MEMORY_KIB},t={_TIME_COST},p={_LANES}${salt}${digest}"


def _bcrypt_dummy(cost: int) -> str:
    return bcrypt.gensalt(cost).decode() + "".join(
        secrets.choice(_BCRYPT_LETTERS) for _ in range(31)
    )
