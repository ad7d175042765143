"""Which bcrypt hashes are left of an import: what a wrong password has to cost (passwords.py)."""

from typing import Final

from sharezync_auth.passwords import Passwords, bcrypt_cost
from sharezync_shared.work import UnitsOfWork

EVERY_SECONDS: Final = 60.0


async def left(work: UnitsOfWork) -> set[int]:
    """Return the costs that occur."""
    rows = await (await work.database.pool()).fetch(
        "SELECT min(password_hash) AS one FROM auth.users WHERE password_hash LIKE '$2%' "
        "GROUP BY left(password_hash, 7)"
    )
    costs = (bcrypt_cost(row["one"]) for row in rows)
    return {cost for cost in costs if cost is not None}


async def learn(work: UnitsOfWork, passwords: Passwords) -> None:
    """Have `passwords` know them; what it knew holds until then."""
    passwords.expect_bcrypt(await left(work))
