"""`rotate-keys` and `service-client`, as operators use them beside a running auth."""

import argparse
import asyncio
import json
import os
import re
import sys
from collections.abc import AsyncGenerator
from uuid import uuid4

import pytest

from services.auth.tests.api.conftest import Account, Auth
from services.auth.tests.api.keys import follow, forget_keys, kept_keyring, make_older, states
from sharezync_auth import states as key_states
from sharezync_auth.commands.rotate_keys import ROTATE_KEYS
from sharezync_auth.commands.service_client import SERVICE_CLIENT
from sharezync_auth.settings import AuthSettings
from sharezync_auth.states import ACTIVE, MAX_KEYS, NEXT, RETIRING, KeyRequest, RotationPolicy
from sharezync_shared.cli import CliCommand
from sharezync_shared.tokens.jwks import MAX_JWKS_BYTES
from sharezync_testkit.bad_tokens import bearer

Output = pytest.CaptureFixture[str]


@pytest.fixture
async def settings(settings: AuthSettings) -> AsyncGenerator[AuthSettings]:
    await forget_keys(settings)
    yield settings
    await forget_keys(settings)


async def run(command: CliCommand[AuthSettings], settings: AuthSettings, *words: str) -> int:
    parser = argparse.ArgumentParser()
    command.arguments(parser)
    return await command.run(settings, parser.parse_args(words)) or 0


async def rotate(settings: AuthSettings, capsys: Output, *words: str) -> tuple[int, dict[str, str]]:
    """Run the command; return its exit status, and the states that it printed by key."""
    capsys.readouterr()
    status = await run(ROTATE_KEYS, settings, "--json", *words)
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("[{")]
    return status, {key["kid"]: key["state"] for line in lines for key in json.loads(line)}


async def stored(settings: AuthSettings) -> dict[str, str]:
    return states(await follow(settings, KeyRequest.UPKEEP))


async def test_rotation_waits_for_the_next_key_and_changes_nothing_before(
    settings: AuthSettings, capsys: Output
) -> None:
    before = await stored(settings)
    capsys.readouterr()
    assert await run(ROTATE_KEYS, settings) == 1
    said = capsys.readouterr()
    moments = re.findall(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", said.err)
    assert len(moments) == 2  # published since, may sign from
    assert "--now" in said.err
    assert await stored(settings) == before

    await make_older(settings, NEXT, RotationPolicy.from_settings(settings).publish)
    status, after = await rotate(settings, capsys)
    assert status == 0
    (signing,) = [kid for kid, state in before.items() if state == NEXT]
    (signed,) = [kid for kid, state in before.items() if state == ACTIVE]
    assert (after[signing], after[signed]) == (ACTIVE, RETIRING)
    assert sorted(after.values()) == [ACTIVE, NEXT, RETIRING]
    assert await stored(settings) == after


async def test_now_rotates_before_that(settings: AuthSettings, capsys: Output) -> None:
    before = await stored(settings)
    status, after = await rotate(settings, capsys, "--now")
    assert status == 0
    assert {after[kid] for kid in before} == {ACTIVE, RETIRING}


async def test_the_keys_are_printed_for_people_too(settings: AuthSettings, capsys: Output) -> None:
    await stored(settings)
    capsys.readouterr()
    assert await run(ROTATE_KEYS, settings, "--now") == 0
    lines = capsys.readouterr().out.splitlines()
    table = [line.split() for line in lines if not re.search(r"\[\w+ *\]", line)]
    assert table[0] == ["kid", "state", "since"]
    assert sorted(row[1] for row in table[1:]) == [ACTIVE, NEXT, RETIRING]


async def test_rotations_at_once_stop_before_the_set_becomes_too_large(
    settings: AuthSettings, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key_states, "MAX_KEYS", 4)
    statuses = [(await rotate(settings, capsys, "--now"))[0] for _ in range(5)]
    assert statuses == [0, 0, 0, 1, 1]
    async with kept_keyring(settings) as keyring:
        assert len(keyring.jwks()[0]) / 4 * MAX_KEYS < MAX_JWKS_BYTES / 2


async def test_compromised_keys_are_gone_at_once_and_clients_refresh(
    settings: AuthSettings, auth: Auth, ada: Account, capsys: Output
) -> None:
    keyring = auth.app.state.context.keyring
    before = await stored(settings)
    status, after = await rotate(settings, capsys, "--compromised")
    assert status == 0
    assert sorted(after.values()) == [ACTIVE, NEXT]
    assert not after.keys() & before.keys()

    await keyring.refresh()
    me = await auth.http.get("/v1/users/me", headers=bearer(ada.tokens["access_token"]))
    assert me.status_code == 401
    fresh = (await ada.refresh(ada.tokens["refresh_token"])).json()["access_token"]
    assert (await auth.http.get("/v1/users/me", headers=bearer(fresh))).status_code == 200


async def test_a_new_secret_key_takes_new_keys_and_is_not_taken_by_accident(
    settings: AuthSettings, capsys: Output
) -> None:
    before = await stored(settings)
    other = AuthSettings(
        secret_key="Qa7Zw2Sx9Ed4Rf1Tg6Yh3Uj8Ik5Ol0PmVbN", database_url=settings.database_url
    )
    for words in ((), ("--now",), ("--compromised",), ("--new-secret-key",)):
        assert (await rotate(other, capsys, *words))[0] == 2
        assert await stored(settings) == before

    status, after = await rotate(other, capsys, "--compromised", "--new-secret-key")
    assert status == 0
    async with kept_keyring(other) as keyring:
        assert after[keyring.issuer().key.kid] == ACTIVE


async def test_one_secret_mode_has_nothing_to_rotate(
    settings: AuthSettings, capsys: Output
) -> None:
    one_secret = settings.model_copy(update={"algorithm": "HS256"})
    assert await run(ROTATE_KEYS, one_secret, "--now") == 2
    assert "nothing to rotate" in capsys.readouterr().err


async def test_secrets_of_services_are_made_listed_and_removed(
    settings: AuthSettings, capsys: Output
) -> None:
    capsys.readouterr()
    assert await run(SERVICE_CLIENT, settings, "add", "reports") == 0
    made = capsys.readouterr()
    secret = made.out.strip()
    assert re.fullmatch(r"szs_[\w-]{43}", secret, re.ASCII)

    assert await run(SERVICE_CLIENT, settings, "list", "--json") == 0
    listed = capsys.readouterr().out
    (row,) = [row for row in json.loads(listed) if row["name"] == "reports"]
    assert row.keys() == {"id", "name", "created_at"}
    assert row["id"] in made.err
    assert secret not in listed + made.err

    assert await run(SERVICE_CLIENT, settings, "remove", row["id"]) == 0
    assert await run(SERVICE_CLIENT, settings, "remove", row["id"]) == 1
    capsys.readouterr()
    assert await run(SERVICE_CLIENT, settings, "list") == 0
    assert "reports" not in capsys.readouterr().out


@pytest.mark.parametrize("words", [["add", "No Name"], ["add"], ["remove", "7"], []])
async def test_what_can_name_no_service_or_secret_is_refused(
    settings: AuthSettings, words: list[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        await run(SERVICE_CLIENT, settings, *words)
    assert await run(SERVICE_CLIENT, settings, "remove", str(uuid4())) == 1


async def test_commands_are_processes_of_their_own_beside_a_running_auth(
    settings: AuthSettings, auth: Auth, ada: Account
) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "sharezync_auth", "rotate-keys", "--now", "--json"),
        env={
            **os.environ,
            "DATABASE_URL": settings.require_database_url(),
            "SECRET_KEY": settings.require_secret_key(),
        },
        stdout=asyncio.subprocess.PIPE,
    )
    printed, _ = await process.communicate()
    assert process.returncode == 0
    await auth.app.state.context.keyring.refresh()
    signing = auth.app.state.context.keyring.issuer().key.kid
    assert signing in {key["kid"] for key in json.loads(printed) if key["state"] == ACTIVE}
    assert (await ada.http.get("/v1/users/me")).status_code == 200  # by the one before
