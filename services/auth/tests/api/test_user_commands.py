"""create-user and import-users: what operators make accounts with. No server runs meanwhile."""

import argparse
import asyncio
import getpass
import io
import secrets
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID

import asyncpg
import bcrypt
import pytest
from structlog.testing import capture_logs

from services.auth.tests.api.conftest import PASSWORD, Auth
from sharezync_auth.__main__ import COMMANDS
from sharezync_auth.passwords import _MEMORY_KIB
from sharezync_auth.settings import AuthSettings
from sharezync_shared.db.database import plain_dsn
from sharezync_shared.events import contracts as facts
from sharezync_testkit.waiting import GIVE_UP_SECONDS

Run = Callable[..., Awaitable[int]]


@pytest.fixture
def memory_of_a_hash_kib() -> int:
    return _MEMORY_KIB


@pytest.fixture
def run(settings: AuthSettings) -> Run:
    async def run(name: str, *arguments: str) -> int:
        parser = argparse.ArgumentParser()
        COMMANDS[name].arguments(parser)
        with capture_logs():  # records are another matter: a command has them go to stderr
            return await COMMANDS[name].run(settings, parser.parse_args(arguments)) or 0

    return run


@asynccontextmanager
async def database(settings: AuthSettings) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    connection = await asyncpg.connect(plain_dsn(settings.require_database_url()))
    yield connection
    await connection.close()


async def users_like(settings: AuthSettings, ending: str) -> dict[str, asyncpg.Record]:
    async with database(settings) as connection:
        rows = await connection.fetch(
            "SELECT * FROM auth.users WHERE username LIKE '%' || $1 ORDER BY username", ending
        )
        return {row["username"]: row for row in rows}


async def told_of(settings: AuthSettings, user_id: UUID) -> list[str]:
    """The facts that wait for a server, by their type."""
    async with database(settings) as connection:
        rows = await connection.fetch(
            "SELECT type FROM auth.outbox WHERE subject = $1", str(user_id)
        )
        return [row["type"] for row in rows]


@pytest.fixture
def ending() -> str:
    """What the names of this test end in."""
    return "_" + secrets.token_hex(4)


def feed(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))


# -------------------------------------------------------------------------------------- create-user


async def test_an_account_is_made_with_the_password_from_stdin(
    settings: AuthSettings,
    run: Run,
    ending: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    feed(monkeypatch, f"{PASSWORD}\nand more")
    name = f"Ada{ending}"
    arguments = [name, f"{name}@Example.com", "--display-name", "Ada L", "--password-stdin"]
    assert await run("create-user", *arguments) == 0
    user = (await users_like(settings, ending))[name]
    assert user["display_name"] == "Ada L"
    assert user["username_key"] == name.lower()
    assert await told_of(settings, user["id"]) == [facts.UserRegistered.type]
    out, err = capsys.readouterr()
    assert (out, err) == ("", f"{name} is {user['id']}.\n")


async def test_a_made_up_password_is_all_that_goes_to_stdout_and_it_logs_in(
    run: Run, ending: str, auth: Auth, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await run("create-user", f"ada{ending}", f"ada{ending}@example.com", "--generate") == 0
    password = capsys.readouterr().out.removesuffix("\n")
    assert len(password) == 24
    form = {"grant_type": "password", "username": f"ada{ending}", "password": password}
    assert (await auth.http.post("/token", data=form)).status_code == 200


@pytest.mark.parametrize(
    ("second", "status"), [(PASSWORD, 0), ("something else", 2)], ids=["the same", "another"]
)
async def test_on_a_terminal_the_password_is_asked_for_twice(
    settings: AuthSettings,
    run: Run,
    ending: str,
    second: str,
    status: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answers = [PASSWORD, second]
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(getpass, "getpass", lambda _: answers.pop(0))
    assert await run("create-user", f"ada{ending}", f"ada{ending}@example.com") == status
    assert answers == []
    assert len(await users_like(settings, ending)) == (1 if status == 0 else 0)


@pytest.mark.parametrize(
    ("change", "status", "said"),
    [
        ({}, 0, " is "),
        ({"name": "taken"}, 1, "This username"),
        ({"email": "TAKEN@example.com"}, 1, "This email address is already taken."),
        ({"name": "x"}, 2, "username: "),
        ({"email": "no address"}, 2, "email: "),
        ({"password": "short"}, 2, "password: "),
        ({"password": ""}, 2, "password: "),
        ({"password": "\udce9" * 9}, 2, "password: "),
    ],
)
async def test_refusals_say_why_and_change_nothing(
    settings: AuthSettings,
    run: Run,
    ending: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    change: dict[str, str],
    status: int,
    said: str,
) -> None:
    feed(monkeypatch, PASSWORD)
    taken = f"taken{ending}"
    await run("create-user", taken, f"{taken}@example.com", "--password-stdin")
    capsys.readouterr()

    name = {"taken": taken.upper(), None: f"ada{ending}"}.get(change.get("name"), "x")
    email = change.get("email", f"{ending}@example.com").replace("TAKEN", taken.upper())
    monkeypatch.setattr(sys, "stdin", io.StringIO(change.get("password", PASSWORD) + "\n"))
    assert await run("create-user", name, email, "--password-stdin") == status
    out, err = capsys.readouterr()
    assert out == ""
    assert said in err
    assert PASSWORD not in err
    assert len(await users_like(settings, ending)) == (2 if status == 0 else 1)


async def test_without_a_terminal_somebody_must_say_where_the_password_comes_from(
    run: Run, ending: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    feed(monkeypatch, PASSWORD)
    assert await run("create-user", f"ada{ending}", f"ada{ending}@example.com") == 2
    assert "--password-stdin" in capsys.readouterr().err


# ------------------------------------------------------------------------------------- import-users


def old_hash(password: str = PASSWORD) -> str:
    return bcrypt.hashpw(password.encode(), bcrypt.gensalt(4)).decode()


async def test_good_rows_come_in_and_bad_ones_are_named_line_by_line(
    settings: AuthSettings,
    run: Run,
    ending: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    stored = old_hash()
    file = tmp_path / "users.csv"
    file.write_text(
        "username,email,bcrypt_hash\n"
        f"ada{ending},ada{ending}@example.com,{stored}\n"
        f"bob{ending},not an address,{stored}\n"
        f"cem{ending},cem{ending}@example.com,{stored}\n"
        f"ADA{ending},else{ending}@example.com,{stored}\n",
        encoding="utf-8-sig",
    )
    assert await run("import-users", str(file)) == 1
    out, err = capsys.readouterr()
    lines = err.splitlines()
    assert [line.split(": ")[:2] for line in lines] == [["line 3", "email"], ["line 5", "username"]]
    assert out == "2 added, 0 already there, 2 bad\n"

    users = await users_like(settings, ending)
    assert list(users) == [f"ada{ending}", f"cem{ending}"]
    for user in users.values():
        assert user["password_hash"] == stored
        assert await told_of(settings, user["id"]) == [facts.UserRegistered.type]

    # What is mended may come with all the rest.
    file.write_text(
        f"ada{ending},ada{ending}@example.com,{old_hash('something else')}\n"
        f"bob{ending},bob{ending}@example.com,{stored}\n"
        f"Cem{ending},else{ending}@example.com,{stored}\n"
        f"dee{ending},CEM{ending}@example.com,{stored}\n"
        f"ada{ending}2,ada{ending}2@example.com,{stored}\n",
        encoding="utf-8",
    )
    assert await run("import-users", str(file)) == 1
    out, err = capsys.readouterr()
    assert err.splitlines() == [
        "line 3: username: somebody else has it",
        "line 4: email: somebody else has it",
    ]
    assert out == "line 1: already there\n2 added, 1 already there, 2 bad\n"
    assert (await users_like(settings, ending))[f"ada{ending}"]["password_hash"] == stored


async def test_a_dry_run_says_the_same_and_changes_nothing(
    settings: AuthSettings,
    run: Run,
    ending: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    feed(monkeypatch, f"ada{ending},ada{ending}@example.com,{old_hash()}\n")
    assert await run("import-users", "--dry-run", "-") == 0
    assert capsys.readouterr().out == "1 would be added, 0 already there, 0 bad\n"
    assert await users_like(settings, ending) == {}


async def test_imports_and_registrations_at_once_make_everybody_once(
    settings: AuthSettings, run: Run, ending: str, tmp_path: Path, auth: Auth
) -> None:
    file = tmp_path / "users.csv"
    names = [f"u{number}{ending}" for number in range(40)]
    stored = old_hash()
    file.write_text("".join(f"{name},{name}@example.com,{stored}\n" for name in names))
    register = {"username": names[7], "email": f"{names[7]}@example.com", "password": PASSWORD}
    *outcomes, answer = await asyncio.gather(
        run("import-users", str(file)),
        run("import-users", str(file)),
        run("import-users", str(file)),
        auth.http.post("/v1/auth/register", json=register),
    )
    assert outcomes == [0, 0, 0]
    assert answer.status_code in {201, 409}
    assert sorted(await users_like(settings, ending)) == sorted(names)


async def test_a_file_that_cannot_be_read_is_told(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await run("import-users", str(tmp_path / "nowhere.csv")) == 2
    assert "No such file" in capsys.readouterr().err


async def test_who_was_imported_logs_in_and_has_a_new_hash_and_everyone_hears_of_them(
    settings: AuthSettings, run: Run, ending: str, auth: Auth, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"ada{ending}"
    feed(monkeypatch, f"{name},{name}@example.com,{old_hash()}\n")
    assert await run("import-users", "-") == 0
    user_id = (await users_like(settings, ending))[name]["id"]

    form = {"grant_type": "password", "username": name, "password": PASSWORD}
    # Two at once: whose hash was renewed meanwhile is looked at again.
    answers = await asyncio.gather(*(auth.http.post("/token", data=form) for _ in range(2)))
    assert [answer.status_code for answer in answers] == [200, 200]
    renewed = (await users_like(settings, ending))[name]["password_hash"]
    assert renewed.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert (await auth.http.post("/token", data=form)).status_code == 200
    assert (await users_like(settings, ending))[name]["password_hash"] == renewed

    async with asyncio.timeout(GIVE_UP_SECONDS):  # a server's sweep looks every second
        while str(user_id) not in {fact.subject for fact in auth.facts}:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
