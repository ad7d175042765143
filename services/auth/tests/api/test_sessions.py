"""Logins: listed, ended one by one or together, run out, and never too many."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlmodel import select

from services.auth.tests.api.conftest import PASSWORD, Account, Auth
from sharezync_auth.models import Session
from sharezync_auth.settings import AuthSettings
from sharezync_auth.usecases import sessions
from sharezync_auth.usecases.sessions import Lifespan, lives

MAX_SESSIONS = AuthSettings.model_fields["sessions_per_user"].default


async def sessions_of(account: Account) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = (await account.http.get("/v1/auth/sessions")).json()["items"]
    return items


async def test_logins_are_listed_and_this_one_is_marked(ada: Account) -> None:
    form = {"grant_type": "password", "username": ada.username, "password": "wrong"}
    await ada.http.post("/token", data=form)  # a login that fails is none
    await ada.log_in()
    latest, first = await sessions_of(ada)
    assert (latest["current"], first["current"]) == (False, True)
    assert latest["last_used_at"] >= first["last_used_at"]
    assert latest["user_agent"].startswith("python-httpx")
    assert latest["device"] is None


async def test_what_a_client_calls_itself_is_cleaned(auth: Auth, ada: Account) -> None:
    form = {"grant_type": "password", "username": ada.username, "password": PASSWORD}
    agent = {b"user-agent": b"Cli\xa0\xa0\xad\x85ent"}
    assert (await auth.http.post("/token", data=form, headers=agent)).status_code == 200
    assert (await sessions_of(ada))[0]["user_agent"] == "Cli ent"


async def test_one_login_is_ended_and_its_sockets_are_told(auth: Auth, ada: Account) -> None:
    other = await ada.log_in()
    (target,) = [item["id"] for item in await sessions_of(ada) if not item["current"]]
    ended = await ada.http.delete(f"/v1/auth/sessions/{target}")
    again = await ada.http.delete(f"/v1/auth/sessions/{target}")
    await auth.told()

    assert (ended.status_code, again.status_code) == (204, 404)
    assert (await ada.refresh(other["refresh_token"])).status_code == 400
    control = auth.frames[-1].control
    assert control is not None
    assert control.revoke_sessions == [target]
    assert "auth.session.revoked.v1" in {fact.type for fact in auth.facts}


async def test_nobody_ends_somebody_elses_login(ada: Account, bob: Account) -> None:
    (own,) = await sessions_of(ada)
    assert (await bob.http.delete(f"/v1/auth/sessions/{own['id']}")).status_code == 404
    assert (await ada.refresh(ada.tokens["refresh_token"])).status_code == 200


@pytest.mark.parametrize(
    ("scope", "this_lives", "other_lives"),
    [("local", False, True), ("others", True, False), ("global", False, False)],
)
async def test_logging_out_ends_what_its_scope_says(
    ada: Account, scope: str, this_lives: bool, other_lives: bool
) -> None:
    other = await ada.log_in()
    for _ in range(2):  # safe to repeat
        out = await ada.http.post("/v1/auth/logout", json={"scope": scope})
        assert out.status_code == 204
    assert {item["current"] for item in await sessions_of(ada)} == (
        {True} if this_lives else {False} if other_lives else set()
    )
    verdicts = [
        (await ada.refresh(token)).status_code == 200
        for token in (ada.tokens["refresh_token"], other["refresh_token"])
    ]
    assert verdicts == [this_lives, other_lives]


async def test_what_was_revoked_lately_is_told_to_gateways(
    auth: Auth, ada: Account, gateway: httpx.AsyncClient
) -> None:
    (own,) = await sessions_of(ada)
    await ada.http.post("/v1/auth/logout")
    recent = (await gateway.get("/internal/revocations", params={"since_seconds": 60})).json()
    auth.let_pass(timedelta(seconds=61))
    later = (await gateway.get("/internal/revocations", params={"since_seconds": 60})).json()
    assert own["id"] in recent["sessions"]
    assert own["id"] not in later["sessions"]


async def test_a_login_that_is_not_used_runs_out(auth: Auth, ada: Account) -> None:
    auth.let_pass(timedelta(days=auth.settings.session_idle_days, seconds=-60))
    assert len(await sessions_of(ada)) == 1
    used = await ada.refresh(ada.tokens["refresh_token"])  # from here it is counted anew
    auth.let_pass(timedelta(days=auth.settings.session_idle_days, seconds=-60))
    assert len(await sessions_of(ada)) == 1
    auth.let_pass(timedelta(seconds=61))
    assert await sessions_of(ada) == []
    assert (await ada.refresh(used.json()["refresh_token"])).json()["error"] == "invalid_grant"


async def test_no_login_lasts_for_ever(auth: Auth, ada: Account) -> None:
    tokens, step = ada.tokens, timedelta(days=20)
    for _ in range(auth.settings.session_max_days // step.days):
        auth.let_pass(step)
        tokens = (await ada.refresh(tokens["refresh_token"])).json()
    assert len(await sessions_of(ada)) == 1
    auth.let_pass(step)
    assert await sessions_of(ada) == []
    assert (await ada.refresh(tokens["refresh_token"])).json()["error"] == "invalid_grant"


@pytest.mark.parametrize("span", ["session_idle_days", "session_max_days"])
@pytest.mark.parametrize("past", [-1, 0, 1])
async def test_the_list_and_a_refresh_agree_to_the_moment(
    auth: Auth, ada: Account, span: str, past: int
) -> None:
    """The one asks the database, the other looks at a row: by one rule, in two languages."""
    days = {"session_idle_days": 10**4, "session_max_days": 10**4, span: 1}
    settings = auth.settings.model_copy(update=days)
    async with auth.app.state.work.read() as unit:
        mine = select(Session).where(Session.user_id == UUID(ada.id))
        session = (await unit.session.exec(mine)).one()
        now = session.created_at + timedelta(days=1, microseconds=past)
        listed = mine.where(Lifespan.at(now, settings).condition())
        found = (await unit.session.exec(listed)).one_or_none()
        assert lives(session, now, settings) == (found is not None) == (past < 0)


async def test_a_refresh_and_a_socket_count_as_use(
    auth: Auth, ada: Account, gateway: httpx.AsyncClient
) -> None:
    (at_login,) = await sessions_of(ada)
    auth.let_pass(timedelta(hours=1))
    await ada.refresh(ada.tokens["refresh_token"])
    (refreshed,) = await sessions_of(ada)
    auth.let_pass(timedelta(hours=1))
    body = {"user_id": ada.id, "client_id": "phone"}
    await gateway.post("/internal/devices/connect", json=body)
    (unmoved,) = await sessions_of(ada)
    body["session_id"] = at_login["id"]
    await gateway.post("/internal/devices/connect", json=body)
    (connected,) = await sessions_of(ada)
    assert at_login["last_used_at"] < refreshed["last_used_at"] < connected["last_used_at"]
    assert unmoved["last_used_at"] == refreshed["last_used_at"]
    assert connected["created_at"] == at_login["created_at"]


async def many_logins(auth: Auth, account: Account, count: int, age: timedelta) -> None:
    """Log in so many times, each `age` ago and a second older than the one before."""
    await auth.rows(
        "INSERT INTO auth.sessions (id, user_id, refresh_key, counter, rotated_at, address, "
        "late_grace_counter, user_agent, created_at, last_used_at) "
        "SELECT gen_random_uuid(), $1, 'x', 1, at, 'many', 0, n::text, at, at FROM "
        "(SELECT n, now() - $3::interval - n * interval '1 second' AS at "
        "FROM generate_series(1, $2) AS n) AS logins",
        account.id,
        count,
        age,
    )


async def test_one_login_too_many_ends_the_least_recently_used(auth: Auth, ada: Account) -> None:
    await many_logins(auth, ada, MAX_SESSIONS - 1, timedelta(days=1))
    assert len(await sessions_of(ada)) == MAX_SESSIONS
    oldest = (await sessions_of(ada))[-1]
    answer = await ada.log_in()
    await auth.told()
    items = await sessions_of(ada)
    assert set(answer) == set(ada.tokens)  # nothing is said of it
    assert len(items) == MAX_SESSIONS
    assert oldest["id"] not in {item["id"] for item in items}
    assert oldest["user_agent"] == str(MAX_SESSIONS - 1)
    (row,) = await auth.rows("SELECT * FROM auth.sessions WHERE id = $1", oldest["id"])
    assert row["revoked_because"] == "too_many"
    control = auth.frames[-1].control
    assert control is not None
    assert control.revoke_sessions == [oldest["id"]]


async def test_logins_at_once_are_never_too_many(auth: Auth, ada: Account) -> None:
    await many_logins(auth, ada, MAX_SESSIONS - 2, timedelta(days=1))
    await asyncio.gather(*(ada.log_in() for _ in range(4)))
    items = await sessions_of(ada)
    assert len(items) == MAX_SESSIONS
    assert sum(item["address"] != "many" for item in items) == 5


async def test_logins_that_ended_are_forgotten_when_there_are_many(
    auth: Auth, ada: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "ENDED_KEPT", 3)
    await many_logins(auth, ada, 10, timedelta(days=1))
    await many_logins(auth, ada, 10, timedelta(days=2))
    ended = "UPDATE auth.sessions SET revoked_at = $2 WHERE user_id = $1 AND created_at {} $3"
    now = auth.app.state.work.now()
    just_now, yesterday = now - timedelta(minutes=1), now - timedelta(days=1)
    between = now - timedelta(days=1, hours=12)
    await auth.rows(ended.format(">"), ada.id, just_now, between)  # and the one from the fixture
    await auth.rows(ended.format("<"), ada.id, yesterday, between)
    await ada.log_in()
    rows = await auth.rows(
        "SELECT revoked_at FROM auth.sessions WHERE user_id = $1 AND revoked_at IS NOT NULL", ada.id
    )
    # Gateways may not have heard yet of those that ended just now.
    assert {row["revoked_at"] for row in rows} == {just_now}
    assert len(rows) == 11


async def test_logins_that_ran_out_take_no_room(auth: Auth, ada: Account) -> None:
    idle = timedelta(days=auth.settings.session_idle_days)
    await many_logins(auth, ada, MAX_SESSIONS, idle)
    await many_logins(auth, ada, MAX_SESSIONS - 2, timedelta(days=1))
    await ada.log_in()
    assert len(await sessions_of(ada)) == MAX_SESSIONS
    (ended,) = await auth.rows(
        "SELECT count(*) FROM auth.sessions WHERE user_id = $1 AND revoked_at IS NOT NULL", ada.id
    )
    assert ended["count"] == 0
