import asyncio
from collections.abc import Iterator

import bcrypt
import pytest

from sharezync_auth.passwords import Passwords
from sharezync_shared.problems import Unavailable

RIGHT = "correct horse"


@pytest.fixture
def passwords() -> Iterator[Passwords]:
    passwords = Passwords(threads=1, queue=1)
    yield passwords
    passwords.close()


async def test_the_right_password_verifies_and_a_wrong_one_does_not(passwords: Passwords) -> None:
    stored = await passwords.hash(RIGHT)
    assert stored.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert await passwords.verify(RIGHT, stored) == (True, None)
    assert await passwords.verify("wrong horse", stored) == (False, None)


async def test_nobodys_password_is_wrong_even_the_dummys(passwords: Passwords) -> None:
    assert await passwords.verify(RIGHT, None) == (False, None)
    assert await passwords.verify("nobody's password", None) == (False, None)


async def test_a_bcrypt_hash_verifies_once_and_is_renewed(passwords: Passwords) -> None:
    stored = bcrypt.hashpw(RIGHT.encode(), bcrypt.gensalt(4)).decode()
    right, renewed = await passwords.verify(RIGHT, stored)
    assert right
    assert renewed is not None
    assert await passwords.verify(RIGHT, renewed) == (True, None)
    assert await passwords.verify("wrong horse", stored) == (False, None)
    assert await passwords.verify("x" * 73, stored) == (False, None)


async def test_too_many_at_once_are_told_to_come_back(passwords: Passwords) -> None:
    outcomes = await asyncio.gather(
        *(passwords.hash(RIGHT) for _ in range(5)), return_exceptions=True
    )
    assert sum(isinstance(outcome, Unavailable) for outcome in outcomes) == 3
    assert (await passwords.hash(RIGHT)).startswith("$argon2id$")
