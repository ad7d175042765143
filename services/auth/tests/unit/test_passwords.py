import asyncio
import threading
from collections.abc import Iterator
from types import SimpleNamespace

import bcrypt
import pytest
from prometheus_client import CollectorRegistry
from pwdlib.hashers.argon2 import Argon2Hasher

from sharezync_auth import passwords as module
from sharezync_auth.metrics import AuthMetrics
from sharezync_auth.passwords import MAX_BYTES, Passwords, bcrypt_cost
from sharezync_shared.problems import Unavailable

RIGHT = "correct horse"
HERE = "192.0.2.1"


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def passwords(registry: CollectorRegistry) -> Iterator[Passwords]:
    passwords = Passwords(threads=1, queue=1, metrics=AuthMetrics(registry))
    yield passwords
    passwords.close()


@pytest.fixture
def checked(monkeypatch: pytest.MonkeyPatch, passwords: Passwords) -> list[str]:
    """The hashes that a password was really compared with, by how they begin."""
    seen: list[str] = []
    check_bcrypt, check_argon2 = bcrypt.checkpw, passwords._argon2.verify

    def with_bcrypt(password: bytes, stored: bytes) -> bool:
        seen.append(stored[:7].decode())
        return check_bcrypt(password, stored)

    def with_argon2(password: str, stored: str) -> bool:
        seen.append(stored[:9])
        return check_argon2(password, stored)

    monkeypatch.setattr(
        module, "bcrypt", SimpleNamespace(**vars(bcrypt) | {"checkpw": with_bcrypt})
    )
    monkeypatch.setattr(passwords._argon2, "verify", with_argon2)
    return seen


def old_hash(password: str, *, cost: int = 4, prefix: str = "2b") -> str:
    hashed = bcrypt.hashpw(password.encode()[:72], bcrypt.gensalt(cost)).decode()
    return hashed.replace("$2b$", f"${prefix}$", 1)


async def test_the_right_password_verifies_and_a_wrong_one_does_not(passwords: Passwords) -> None:
    stored = await passwords.hash(RIGHT, caller=HERE)
    assert stored.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert await passwords.verify(RIGHT, stored, caller=HERE) == (True, None)
    assert await passwords.verify("wrong horse", stored, caller=HERE) == (False, None)


async def test_nobodys_password_is_always_wrong(passwords: Passwords) -> None:
    assert await passwords.verify(RIGHT, None, caller=HERE) == (False, None)
    assert await passwords.verify("", None, caller=HERE) == (False, None)


@pytest.mark.parametrize("prefix", ["2a", "2b", "2y"])
async def test_a_bcrypt_hash_verifies_and_is_renewed(passwords: Passwords, prefix: str) -> None:
    stored = old_hash(RIGHT, prefix=prefix)
    right, renewed = await passwords.verify(RIGHT, stored, caller=HERE)
    assert right
    assert renewed is not None
    assert await passwords.verify(RIGHT, renewed, caller=HERE) == (True, None)
    assert await passwords.verify("wrong horse", stored, caller=HERE) == (False, None)


async def test_of_a_long_password_bcrypt_saw_72_bytes_and_we_keep_the_whole(
    passwords: Passwords,
) -> None:
    long = "é" * 36 + "and so on"
    right, renewed = await passwords.verify(long, old_hash(long), caller=HERE)
    assert right
    assert renewed is not None
    assert await passwords.verify(long, renewed, caller=HERE) == (True, None)
    assert await passwords.verify("é" * 36, renewed, caller=HERE) == (False, None)
    assert (await passwords.verify("é" * 35 + "e" + "and so on", old_hash(long), caller=HERE)) == (
        False,
        None,
    )


async def test_a_character_cut_in_two_is_cut_as_it_was(passwords: Passwords) -> None:
    long = "x" + "é" * 50  # byte 72 is the first half of a character
    assert (await passwords.verify(long, old_hash(long), caller=HERE))[0]


async def test_weaker_parameters_of_argon2_are_renewed(passwords: Passwords) -> None:
    weaker = Argon2Hasher(time_cost=1, memory_cost=1024, parallelism=1).hash(RIGHT)
    right, renewed = await passwords.verify(RIGHT, weaker, caller=HERE)
    assert right
    assert renewed is not None
    assert renewed.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert await passwords.verify(RIGHT, renewed, caller=HERE) == (True, None)


async def test_the_same_text_is_the_same_password_however_it_was_typed(
    passwords: Passwords,
) -> None:
    stored = await passwords.hash("caf\u00e9 au lait", caller=HERE)
    assert await passwords.verify("cafe\u0301\u00a0au\u3000lait", stored, caller=HERE) == (
        True,
        None,
    )
    # NFC, not NFKC: letters that only look alike make another password.
    stored = await passwords.hash("\ufb01sh and chips", caller=HERE)
    assert await passwords.verify("fish and chips", stored, caller=HERE) == (False, None)


async def test_bcrypt_hashes_are_of_what_was_typed_and_renewed_ones_of_the_normal_form(
    passwords: Passwords,
) -> None:
    typed = "cafe\u0301 au lait"
    right, renewed = await passwords.verify(typed, old_hash(typed), caller=HERE)
    assert right
    assert await passwords.verify("caf\u00e9 au lait", renewed, caller=HERE) == (True, None)


async def test_longer_than_allowed_is_nobodys_and_costs_as_much(
    passwords: Passwords, checked: list[str]
) -> None:
    longest = "x" * MAX_BYTES
    stored = await passwords.hash(longest, caller=HERE)
    assert await passwords.verify(longest, stored, caller=HERE) == (True, None)
    assert await passwords.verify(longest + "x", stored, caller=HERE) == (False, None)
    assert await passwords.verify(longest + "x", old_hash(longest), caller=HERE) == (False, None)
    assert checked == ["$argon2id"] * 3


@pytest.mark.parametrize("whose", ["argon2", "cost 4", "cost 5", "a cost not seen before", "none"])
async def test_each_failure_pays_for_one_of_every_kind(
    passwords: Passwords, checked: list[str], whose: str
) -> None:
    stored = {
        "argon2": await passwords.hash(RIGHT, caller=HERE),
        "cost 4": old_hash(RIGHT, cost=4),
        "cost 5": old_hash(RIGHT, cost=5, prefix="2a"),
        "a cost not seen before": old_hash(RIGHT, cost=6),
        "none": None,
    }[whose]
    passwords.expect_bcrypt({4, 5, 17})  # 17 would be a denial of service
    assert await passwords.verify("wrong horse", stored, caller=HERE) == (False, None)

    kinds = sorted(beginning.replace("2a", "2b") for beginning in checked)
    more = ["$2b$06$"] if whose == "a cost not seen before" else []
    assert kinds == sorted(["$argon2id", "$2b$04$", "$2b$05$", *more])

    # A cost that was met is everybody's from then on, until it is said what is left.
    checked.clear()
    await passwords.verify("wrong horse", None, caller=HERE)
    assert len(checked) == 3 + len(more)
    passwords.expect_bcrypt({5})
    checked.clear()
    await passwords.verify("wrong horse", None, caller=HERE)
    assert sorted(checked) == ["$2b$05$", "$argon2id"]


async def test_a_right_password_pays_for_itself_only(
    passwords: Passwords, checked: list[str]
) -> None:
    passwords.expect_bcrypt({4, 5})
    assert (await passwords.verify(RIGHT, old_hash(RIGHT, cost=5), caller=HERE))[0]
    assert checked == ["$2b$05$"]


@pytest.mark.parametrize(
    ("stored", "cost"),
    [
        ("$2b$12$" + "a" * 53, 12),
        ("$2a$04$" + "./" * 26 + "Z", 4),
        ("$2y$10$" + "0" * 53, 10),
        ("$2b$31$" + "0" * 53, 31),
        ("$2b$03$" + "0" * 53, None),
        ("$2b$32$" + "0" * 53, None),
        ("$2x$10$" + "0" * 53, None),
        ("$2b$12$" + "a" * 52, None),
        ("$2b$12$" + "a" * 52 + "+", None),
        ("$2b$12$" + "a" * 53 + "\n", None),
        ("$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$aGFzaA", None),
    ],
)
def test_what_a_bcrypt_hash_looks_like(stored: str, cost: int | None) -> None:
    assert bcrypt_cost(stored) == cost


@pytest.fixture
def go_on() -> Iterator[threading.Event]:
    """What threads wait for; at the end of the test at the latest."""
    event = threading.Event()
    yield event
    event.set()


async def test_too_many_at_once_are_told_to_come_back(
    passwords: Passwords, registry: CollectorRegistry, go_on: threading.Event
) -> None:
    inside = [asyncio.create_task(passwords._run(go_on.wait, HERE)) for _ in range(2)]
    await asyncio.sleep(0)  # the tasks begin
    assert registry.get_sample_value("sharezync_auth_passwords_hashing") == 2
    with pytest.raises(Unavailable) as refused:
        await passwords.hash(RIGHT, caller=HERE)
    assert refused.value.headers["Retry-After"] == "2"

    go_on.set()
    assert await asyncio.gather(*inside) == [True, True]
    assert (await passwords.hash(RIGHT, caller=HERE)).startswith("$argon2id$")
    assert registry.get_sample_value("sharezync_auth_passwords_hashing") == 0


async def test_who_went_away_keeps_the_thread_for_as_long_as_it_works(
    passwords: Passwords, go_on: threading.Event
) -> None:
    began = threading.Event()

    def work() -> bool:
        began.set()
        return go_on.wait()

    running = asyncio.create_task(passwords._run(work, HERE))
    await asyncio.to_thread(began.wait)
    waiting = asyncio.create_task(passwords._run(go_on.wait, HERE))
    await asyncio.sleep(0)  # it begins
    running.cancel()
    await asyncio.wait([running])

    with pytest.raises(Unavailable):
        await passwords.hash(RIGHT, caller=HERE)
    waiting.cancel()  # and who only waited leaves their place
    await asyncio.wait([waiting])
    next_one = asyncio.create_task(passwords.hash(RIGHT, caller=HERE))
    await asyncio.sleep(0)  # it begins
    go_on.set()
    assert (await next_one).startswith("$argon2id$")
