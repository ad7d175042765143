from datetime import timedelta

import httpx
import jwt
import pytest

from services.auth.tests.api.conftest import Account, Auth
from sharezync_auth.refresh import LAST_COUNTER, seal
from sharezync_shared.ids import SessionId

SOON, LATE = timedelta(seconds=50), timedelta(seconds=70)


def refused(answer: httpx.Response) -> bool:
    return answer.status_code == 400 and answer.json()["error"] == "invalid_grant"


async def next_of(account: Account, token: str) -> str:
    answer = await account.refresh(token)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["refresh_token"])


async def test_a_lost_answer_is_given_again_for_a_minute_as_often_as_it_is_asked_for(
    auth: Auth, ada: Account
) -> None:
    token = ada.tokens["refresh_token"]
    for _ in range(3):
        following = await next_of(ada, token)
        auth.let_pass(SOON)
        assert [await next_of(ada, token) for _ in range(3)] == [following] * 3
        token = following


async def test_a_phone_that_lost_an_answer_comes_back_the_next_day(
    auth: Auth, ada: Account
) -> None:
    first = ada.tokens["refresh_token"]
    second = await next_of(ada, first)
    auth.let_pass(timedelta(days=1))
    assert await next_of(ada, first) == second
    third = await next_of(ada, second)
    # Once a step went well, it may happen again.
    fourth = await next_of(ada, third)
    auth.let_pass(timedelta(days=1))
    assert await next_of(ada, third) == fourth


async def test_who_follows_the_client_with_the_token_before_ends_the_session(
    auth: Auth, ada: Account
) -> None:
    first = ada.tokens["refresh_token"]
    second = await next_of(ada, first)
    auth.let_pass(LATE)
    stolen = await next_of(ada, first)
    third = await next_of(ada, second)
    auth.let_pass(LATE)
    found = await ada.refresh(stolen)
    assert refused(found)
    assert refused(await ada.refresh(third))
    await auth.told()
    assert "auth.session.revoked.v1" in {fact.type for fact in auth.facts}


async def test_a_session_whose_numbers_are_used_up_ends(auth: Auth, ada: Account) -> None:
    claims = jwt.decode(ada.tokens["access_token"], options={"verify_signature": False})
    session_id = SessionId(claims["sid"])
    (row,) = await auth.rows(
        "UPDATE auth.sessions SET counter = $2 WHERE id = $1 RETURNING id, refresh_key",
        session_id,
        LAST_COUNTER - 1,
    )
    last = await next_of(ada, seal(row["id"], LAST_COUNTER - 1, row["refresh_key"]))
    assert last == seal(row["id"], LAST_COUNTER, row["refresh_key"])
    assert refused(await ada.refresh(last))
    (row,) = await auth.rows("SELECT revoked_because FROM auth.sessions WHERE id = $1", session_id)
    assert row["revoked_because"] == "tokens_spent"


@pytest.mark.parametrize("again", [False, True])
async def test_where_a_session_is_used_follows_its_refreshes(
    auth: Auth, ada: Account, again: bool
) -> None:
    token = ada.tokens["refresh_token"]
    if again:
        await next_of(ada, token)
    ada.http.headers.update({"X-Forwarded-For": "203.0.113.7", "User-Agent": "the train"})
    auth.let_pass(SOON)
    await next_of(ada, token)
    (item,) = (await ada.http.get("/v1/auth/sessions")).json()["items"]
    assert (item["address"], item["user_agent"]) == ("203.0.113.7", "the train")
    assert item["last_used_at"] > item["created_at"]


async def test_all_that_is_no_token_is_refused_alike(auth: Auth, ada: Account) -> None:
    ended = (await ada.log_in())["refresh_token"]
    ran_out = ada.tokens["refresh_token"]
    assert (await ada.http.post("/v1/auth/logout", json={"scope": "others"})).status_code == 204
    auth.let_pass(timedelta(days=auth.settings.session_idle_days))
    garbage = ("szr_", "szr_" + "A" * 50, ran_out[:-8] + "AAAAAAAA", "null", "x" * 500)
    tokens = [ended, ran_out, ada.tokens["access_token"], *garbage]
    refused = [await ada.refresh(token) for token in tokens]
    assert [answer.status_code for answer in refused] == [400] * len(tokens)
    answers = [answer.json() for answer in refused]
    for answer in answers:
        del answer["request_id"]
    assert answers == [answers[0]] * len(tokens)
    assert answers[0]["error"] == "invalid_grant"
