"""A deleted account: nothing of it stays but its id, and everyone is told."""

import asyncio
from uuid import UUID

import httpx
import msgspec

from services.auth.tests.api.conftest import PASSWORD, Account, Auth


async def stored_texts(auth: Auth) -> dict[str, str]:
    """Return all that the schema holds, by table and column, of whatever type it is."""
    columns = await auth.rows(
        "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'auth'"
    )
    texts = {}
    for table, column in columns:
        value = f'"{column}"'
        (kind,) = await auth.rows(
            "SELECT data_type FROM information_schema.columns "
            "WHERE table_schema = 'auth' AND table_name = $1 AND column_name = $2",
            table,
            column,
        )
        if kind["data_type"] == "bytea":
            value = f"encode({value}, 'escape')"
        rows = await auth.rows(
            f"SELECT string_agg({value}::text, E'\\n') AS all FROM auth.\"{table}\""
        )
        texts[f"{table}.{column}"] = rows[0]["all"] or ""
    return texts


async def test_the_address_and_the_name_of_who_is_gone_stand_nowhere(
    auth: Auth, ada: Account, gateway: httpx.AsyncClient
) -> None:
    email, renamed = f"{ada.username}@example.com", f"{ada.username}.now"
    await ada.http.patch("/v1/users/me", json={"username": renamed, "bio": f"I am {email}"})
    await ada.move(f"new-{email}")
    body = {"client_id": ada.username, "name": ada.username, "platform": ada.username}
    device = (await ada.http.post("/v1/devices", json=body)).json()["id"]
    for name in (renamed, email, f"new-{email}"):
        form = {"grant_type": "password", "username": name, "password": "not the right one"}
        await ada.http.post("/token", data=form, headers={"User-Agent": ada.username})
    ended = await ada.log_in(username=f"new-{email}", device_id=device)
    await ada.http.post(
        "/v1/auth/logout", headers={"Authorization": f"Bearer {ended['access_token']}"}
    )
    connect = {"user_id": ada.id, "client_id": ada.username}
    await gateway.post("/internal/devices/connect", json=connect)
    before = await stored_texts(auth)

    assert (await ada.delete()).status_code == 204
    await auth.told()
    after = await stored_texts(auth)

    held = {place for place, text in before.items() if ada.username in text}
    assert {"users.email", "users.username_key", "devices.name", "stream_log.text"} <= held
    assert {place for place, text in after.items() if ada.username in text} == set()
    left = {place for place, text in after.items() if ada.id in text}
    assert left <= {
        "deleted_users.user_id",
        "stream_heads.stream",
        "stream_log.stream",
        "stream_log.text",
        "stream_log.control",
    }
    for table in ("users", "sessions", "devices"):
        assert f"{table}.id" not in left


async def test_what_stays_in_the_log_tells_gateways_to_let_go(auth: Auth, ada: Account) -> None:
    """One that missed it replays the log: the account's last events are there for that."""
    other = await ada.log_in()
    await ada.http.patch("/v1/users/me", json={"bio": "Analyst"})
    await ada.delete()
    log = await auth.rows(
        "SELECT seq, text, control FROM auth.stream_log WHERE stream = $1 ORDER BY seq",
        f"account:{ada.id}",
    )
    (head,) = await auth.rows(
        "SELECT last_seq FROM auth.stream_heads WHERE stream = $1", f"account:{ada.id}"
    )
    # `seq` 1 told of the profile and is gone; no number comes twice.
    assert [row["seq"] for row in log] == [2, 3, 4]
    assert head["last_seq"] == 4
    controls = [msgspec.json.decode(row["control"]) for row in log]
    assert controls[-1] == {"revoke_user": ada.id, "end": True}
    sessions = {await session_of(auth, tokens) for tokens in (ada.tokens, other)}
    assert {one for control in controls[:2] for one in control["revoke_sessions"]} == sessions
    assert all(row["text"].count("Ada") == 0 for row in log)
    await auth.told()
    assert [frame.seq for frame in auth.frames] == [1, 2, 3, 4]


async def session_of(auth: Auth, tokens: dict[str, str]) -> str:
    identity = await auth.app.state.verifier.verify(tokens["access_token"])
    return str(identity.session_id)


async def test_everybody_is_told_and_every_door_is_shut(
    auth: Auth, ada: Account, bob: Account, gateway: httpx.AsyncClient
) -> None:
    other = await ada.log_in()
    deleted = await ada.delete()
    again = await ada.delete()
    await auth.told()
    assert (deleted.status_code, again.status_code) == (204, 401)
    assert (await ada.http.get("/v1/users/me")).status_code == 401
    assert (await ada.http.get("/v1/auth/sessions")).json()["items"] == []
    assert (await ada.http.patch("/v1/users/me", json={"bio": "x"})).status_code == 401
    body = {"client_id": "phone", "name": "Phone"}
    assert (await ada.http.post("/v1/devices", json=body)).status_code == 401
    for tokens in (ada.tokens, other):
        assert (await ada.refresh(tokens["refresh_token"])).json()["error"] == "invalid_grant"
    form = {"grant_type": "password", "username": ada.username, "password": PASSWORD}
    assert (await ada.http.post("/token", data=form)).json()["error"] == "invalid_grant"
    assert (await bob.http.get(f"/v1/users/{ada.id}")).status_code == 404
    assert (await bob.http.get("/v1/users", params={"q": ada.username})).json()["items"] == []
    names = await gateway.get("/internal/users", params={"ids": ada.id})
    assert names.json()["users"] == []
    (fact,) = [fact for fact in auth.facts if fact.type == "auth.user.deleted.v1"]
    assert fact.subject == ada.id
    revoked = (await gateway.get("/internal/revocations?since_seconds=60")).json()
    assert ada.id in revoked["users"]
    control = auth.frames[-1].control
    assert control is not None
    assert control.revoke_user == ada.id


async def test_the_name_and_the_address_are_free_for_somebody_else(
    auth: Auth, ada: Account
) -> None:
    await ada.delete()
    body = {
        "username": ada.username.upper(),
        "email": f"{ada.username}@example.com",
        "password": PASSWORD,
    }
    heir = await auth.http.post("/v1/auth/register", json=body)
    assert heir.status_code == 201
    assert heir.json()["id"] != ada.id


async def test_what_comes_while_an_account_goes_leaves_nothing_behind(
    auth: Auth, ada: Account, gateway: httpx.AsyncClient
) -> None:
    connect = {"user_id": ada.id}
    form = {"grant_type": "password", "username": ada.username, "password": PASSWORD}
    answers = await asyncio.gather(
        *(ada.http.post("/token", data=form) for _ in range(3)),
        ada.delete(),
        *(
            gateway.post("/internal/devices/connect", json={**connect, "client_id": f"c{n}"})
            for n in range(5)
        ),
        ada.refresh(ada.tokens["refresh_token"]),
        ada.http.patch("/v1/users/me", json={"bio": "Analyst"}),
        ada.delete(),
    )
    assert all(answer.status_code in (200, 204, 400, 401) for answer in answers)
    for table in ("users", "sessions", "devices"):
        column = "id" if table == "users" else "user_id"
        rows = await auth.rows(f"SELECT 1 FROM auth.{table} WHERE {column} = $1", UUID(ada.id))
        assert rows == [], table
