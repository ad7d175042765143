import httpx
import jwt
import pytest
from fastapi import FastAPI

from services.auth.tests.api.conftest import PASSWORD, Account, Auth
from sharezync_auth.app import create_app
from sharezync_auth.key_store import WrongSecretKey
from sharezync_auth.settings import AuthSettings
from sharezync_shared.tokens.issuer import TokenIssuer
from sharezync_shared.tokens.signing import SigningKey
from sharezync_testkit.bad_tokens import BAD_TOKENS, bad_token, bearer
from sharezync_testkit.service import platform_for_tests, running


async def test_a_password_gives_tokens_by_name_or_address(auth: Auth, ada: Account) -> None:
    for name in (ada.username.upper(), f"{ada.username}@EXAMPLE.com"):
        form = {"grant_type": "password", "username": name, "password": PASSWORD}
        answer = await auth.http.post("/token", data=form)
        assert answer.status_code == 200
        assert answer.headers["cache-control"] == "no-store"
        assert answer.json()["token_type"] == "bearer"
        assert answer.json()["expires_in"] == 600


async def test_a_login_need_not_say_that_it_is_one(auth: Auth, ada: Account) -> None:
    form = {"username": ada.username, "password": PASSWORD}
    for grant in ({}, {"grant_type": ""}):
        answer = await auth.http.post("/token", data={**form, **grant})
        assert answer.status_code == 200
        assert answer.json()["refresh_token"]


@pytest.mark.parametrize(
    ("form", "status", "error"),
    [
        ({}, 400, "invalid_request"),
        ({"username": "nobody"}, 400, "invalid_request"),
        ({"username": "nobody", "password": "x"}, 400, "invalid_grant"),
        ({"grant_type": "password"}, 400, "invalid_request"),
        ({"grant_type": "magic"}, 400, "unsupported_grant_type"),
        ({"grant_type": "password", "username": "nobody", "password": "x"}, 400, "invalid_grant"),
        (
            {"grant_type": "password", "username": "nobody", "password": "x" * 999},
            400,
            "invalid_grant",
        ),
        ({"grant_type": "refresh_token", "refresh_token": "szr_x"}, 400, "invalid_grant"),
        (
            {"grant_type": "client_credentials", "client_id": "chat", "client_secret": "no"},
            401,
            "invalid_client",
        ),
        (
            {"grant_type": "client_credentials", "client_id": "who", "client_secret": "no"},
            401,
            "invalid_client",
        ),
        ({"grant_type": ["password", "password"]}, 400, "invalid_request"),
    ],
)
async def test_refusals_are_in_the_form_of_the_rfc(
    auth: Auth, form: dict[str, str], status: int, error: str
) -> None:
    answer = await auth.http.post("/token", data=form)
    assert answer.status_code == status
    assert answer.json()["error"] == error
    assert answer.json()["error_description"]
    assert answer.headers["cache-control"] == "no-store"


async def test_unknown_and_wrong_are_told_alike(auth: Auth, ada: Account) -> None:
    answers = [
        (
            await auth.http.post(
                "/token",
                data={"grant_type": "password", "username": name, "password": "wrong one"},
            )
        ).json()
        for name in (ada.username, "nobody-at-all")
    ]
    for answer in answers:
        del answer["request_id"]
    assert answers[0] == answers[1]


async def test_refresh_tokens_rotate_and_the_previous_gets_the_current_again(
    ada: Account,
) -> None:
    first = ada.tokens["refresh_token"]
    second = (await ada.refresh(first)).json()["refresh_token"]
    again = (await ada.refresh(first)).json()["refresh_token"]
    third = (await ada.refresh(second)).json()["refresh_token"]
    assert again == second
    assert len({first, second, third}) == 3


async def test_the_reuse_of_an_older_refresh_token_ends_the_session(
    auth: Auth, ada: Account
) -> None:
    first = ada.tokens["refresh_token"]
    second = (await ada.refresh(first)).json()["refresh_token"]
    third = (await ada.refresh(second)).json()["refresh_token"]
    stolen = await ada.refresh(first)
    await auth.told()

    assert stolen.json()["error"] == "invalid_grant"
    assert (await ada.refresh(third)).json()["error"] == "invalid_grant"
    assert "auth.session.revoked.v1" in {fact.type for fact in auth.facts}


async def test_access_tokens_verify_with_the_published_keys(auth: Auth, ada: Account) -> None:
    answer = await auth.http.get("/.well-known/jwks.json")
    keys = jwt.PyJWKSet.from_dict(answer.json())
    token = ada.tokens["access_token"]
    header = jwt.get_unverified_header(token)
    claims = jwt.decode(
        token, keys[header["kid"]], algorithms=["ES256"], audience="sharezync", issuer="sharezync"
    )
    assert header["typ"] == "at+jwt"
    assert claims["sub"] == ada.id
    assert {"sid", "jti", "iat", "nbf", "exp", "scope"} <= claims.keys()
    assert "max-age" in answer.headers["cache-control"]
    assert "d" not in answer.json()["keys"][0]


async def test_keys_outlive_a_restart_and_need_the_same_secret(
    auth: Auth, ada: Account, settings: AuthSettings
) -> None:
    def again(changed: AuthSettings) -> FastAPI:
        issuer = TokenIssuer(key=SigningKey.generate())
        return create_app(changed, platform_for_tests("auth", issuer))

    async with running(again(settings)) as app:
        assert app.state.context.keyring.jwks() == auth.app.state.context.keyring.jwks()
    other = settings.model_copy(
        update={
            "secret_key": AuthSettings(secret_key="Qa7Zw2Sx9Ed4Rf1Tg6Yh3Uj8Ik5Ol0PmVbN").secret_key
        }
    )
    with pytest.raises(WrongSecretKey, match="SECRET_KEY"):
        async with running(again(other)):
            pass


async def test_bad_tokens_open_nothing(auth: Auth) -> None:
    for name in BAD_TOKENS:
        token = bad_token(name, auth.app.state.context.keyring.issuer())
        answer = await auth.http.get("/v1/users/me", headers=bearer(token))
        assert answer.status_code == 401, name


async def test_internal_routes_open_to_services_only(
    auth: Auth, ada: Account, gateway: httpx.AsyncClient
) -> None:
    for path in ("/internal/users?ids=" + ada.id, "/internal/revocations?since_seconds=60"):
        assert (await auth.http.get(path)).status_code == 401
        assert (await ada.http.get(path)).status_code == 401
        assert (await gateway.get(path)).status_code == 200
    assert (await gateway.get("/v1/users/me")).status_code == 401


async def test_one_secret_mode_signs_with_the_secret(settings: AuthSettings) -> None:
    changed = settings.model_copy(update={"algorithm": "HS256"})
    issuer = TokenIssuer(key=SigningKey.generate())
    async with running(create_app(changed, platform_for_tests("auth", issuer))) as app:
        assert app.state.context.keyring.issuer().key.algorithm == "HS256"
        assert app.state.context.keyring.jwks()[0] == b'{"keys":[]}'
