"""Who logged in, failed, and was revoked is in the log: by ids, without names or secrets."""

import json

import pytest

from services.auth.tests.api.conftest import PASSWORD, Account, Auth, register
from sharezync_auth.usecases import grants
from sharezync_shared import work
from sharezync_testkit.lines import Lines


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Lines:
    lines = Lines.capture(grants, monkeypatch)
    monkeypatch.setattr(work, "log", lines)
    return lines


async def test_the_life_of_a_login_is_told(auth: Auth, lines: Lines) -> None:
    ada = await register(auth)
    await ada.log_in()
    form = {"grant_type": "password", "username": ada.username, "password": "a wrong one"}
    await auth.http.post("/token", data=form)
    await auth.http.post("/token", data={**form, "username": PASSWORD})
    await ada.http.post("/v1/auth/logout", params={"scope": "others"})
    await ada.delete()
    told = [(line["event"], line.get("reason"), line["user_id"]) for line in lines.written]
    assert told == [
        ("user_registered", None, ada.id),
        ("logged_in", None, ada.id),
        ("logged_in", None, ada.id),
        ("login_failed", None, ada.id),
        ("login_failed", None, None),
        ("session_ended", "logged_out", ada.id),
        ("session_ended", "account_deleted", ada.id),
        ("user_deleted", None, ada.id),
    ]
    text = json.dumps(lines.written)
    assert PASSWORD not in text
    assert "a wrong one" not in text
    assert ada.username not in text


async def test_a_token_that_two_parties_hold_is_told(ada: Account, lines: Lines) -> None:
    first = ada.tokens["refresh_token"]
    second = (await ada.refresh(first)).json()["refresh_token"]
    await ada.refresh(second)
    assert (await ada.refresh(first)).status_code == 400
    (line,) = lines.written
    assert (line["event"], line["reason"]) == ("session_ended", "token_reused")
    assert first not in json.dumps(line)


async def test_what_is_rolled_back_is_not_told(ada: Account, auth: Auth, lines: Lines) -> None:
    with pytest.raises(RuntimeError, match="rolled back"):
        async with auth.app.state.work.begin() as unit:
            unit.log("logged_in", user_id="x")
            raise RuntimeError("rolled back")
    assert lines.written == []
