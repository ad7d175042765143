"""The token endpoint by the letter of RFC 6749 (§2.3.1, §3.2, §4.4, §5), and what is in tokens."""

import base64
import hashlib
import json
import re
from collections.abc import AsyncGenerator
from typing import Any
from urllib.parse import quote_plus, urlencode
from uuid import UUID

import httpx
import jwt
import pytest

from services.auth.tests.api.conftest import PASSWORD, Account, Auth
from sharezync_auth.app import create_app
from sharezync_auth.commands import work_for
from sharezync_auth.models import OAuthClient
from sharezync_auth.settings import AuthSettings
from sharezync_auth.usecases import clients
from sharezync_shared.tokens.credentials import derive_service_secret
from sharezync_shared.tokens.issuer import TokenIssuer
from sharezync_shared.tokens.signing import SigningKey
from sharezync_testkit.service import platform_for_tests, running

FORM = "application/x-www-form-urlencoded"
SERVICE = {"grant_type": "client_credentials"}
MANY = [(f"x{number}", "1") for number in range(1100)]
DESCRIPTION = re.compile(r"[\x20\x21\x23-\x5b\x5d-\x7e]+")
"""What §5.2 allows in a description."""


async def ask(auth: Auth, body: str, **headers: str) -> httpx.Response:
    return await auth.http.post("/token", content=body, headers={"Content-Type": FORM, **headers})


def basic(name: str, secret: str) -> str:
    pair = f"{quote_plus(name)}:{quote_plus(secret)}".encode()
    return f"Basic {base64.b64encode(pair).decode()}"


def derived(auth: Auth, name: str) -> str:
    return derive_service_secret(auth.settings.require_secret_key(), name)


def check_refusal(answer: httpx.Response, status: int, error: str) -> None:
    body = answer.json()
    assert (answer.status_code, body.get("error")) == (status, error), answer.text
    assert DESCRIPTION.fullmatch(body["error_description"])
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["pragma"] == "no-cache"
    assert ("www-authenticate" in answer.headers) == (status == 401)


# --------------------------------------------------------------------------- §3.2, invalid_request

PASSWORD_GRANT = {"grant_type": "password", "username": "nobody", "password": "whatever"}


async def test_a_parameter_that_is_missing_or_empty_is_asked_for(auth: Auth) -> None:
    refresh_grant = {"grant_type": "refresh_token", "refresh_token": "whatever"}
    for whole, missing in (
        (PASSWORD_GRANT, "username"),
        (PASSWORD_GRANT, "password"),
        (refresh_grant, "refresh_token"),
        (refresh_grant, "grant_type"),  # a login is one without it
    ):
        form = {name: value for name, value in whole.items() if name != missing}
        for given in (form, {**form, missing: ""}):
            answer = await ask(auth, urlencode(given))
            check_refusal(answer, 400, "invalid_request")
            assert missing in answer.json()["error_description"]


async def test_malformed_parameters_are_invalid_requests(auth: Auth) -> None:
    for body in (
        "",
        "grant_type=refresh_token",
        urlencode([*PASSWORD_GRANT.items(), ("username", "nobody")]),
        urlencode([*PASSWORD_GRANT.items(), ("unheard_of", "1"), ("unheard_of", "2")]),
        urlencode({**PASSWORD_GRANT, "username": "x" * 1025}),
        urlencode({**PASSWORD_GRANT, "username": "no\x00body"}),
        urlencode([*PASSWORD_GRANT.items(), *MANY]),
        urlencode({**PASSWORD_GRANT, "device_id": "phone"}),
        "%%%===&&&",
        "\x00",
    ):
        check_refusal(await ask(auth, body), 400, "invalid_request")


async def test_other_content_types_are_told_which_one_is_read(auth: Auth) -> None:
    as_json = json.dumps(PASSWORD_GRANT)
    in_parts = "--x\r\nContent-Disposition: form-data; name=a\r\n\r\nb\r\n--x--\r\n"
    for content_type, body in (
        ("application/json", as_json),
        ("application/json", "{"),
        ("multipart/form-data; boundary=x", in_parts),
        ("multipart/form-data", in_parts),
        ("text/plain", urlencode(PASSWORD_GRANT)),
        ("", urlencode(PASSWORD_GRANT)),
    ):
        answer = await ask(auth, body, **{"Content-Type": content_type})
        check_refusal(answer, 400, "invalid_request")
        assert FORM in answer.json()["error_description"]


async def test_the_content_type_may_be_spelt_as_http_allows(auth: Auth, ada: Account) -> None:
    form = {"grant_type": "password", "username": ada.username, "password": PASSWORD}
    for content_type in (f"{FORM}; charset=UTF-8", FORM.upper()):
        answer = await ask(auth, urlencode(form), **{"Content-Type": content_type})
        assert answer.status_code == 200


# --------------------------------------------------------------------------- the other errors


async def test_there_are_three_grants(auth: Auth) -> None:
    for grant_type in ("magic", "Password", "authorization_code", "pässword"):
        answer = await ask(auth, urlencode({**PASSWORD_GRANT, "grant_type": grant_type}))
        check_refusal(answer, 400, "unsupported_grant_type")


async def test_wrong_credentials_of_a_user_are_an_invalid_grant(auth: Auth) -> None:
    for form in (
        PASSWORD_GRANT,
        {"grant_type": "refresh_token", "refresh_token": "nonsense"},
        {"grant_type": "refresh_token", "refresh_token": "szr_" + "A" * 50},
    ):
        check_refusal(await ask(auth, urlencode(form)), 400, "invalid_grant")


async def test_a_password_that_changes_while_it_is_checked_begins_no_session(
    auth: Auth, ada: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    passwords = auth.app.state.context.passwords
    verify, another = passwords.verify, await passwords.hash("something else", caller="192.0.2.1")
    count = "SELECT count(*) FROM auth.sessions WHERE user_id = $1"
    before = await auth.rows(count, UUID(ada.id))

    async def verify_late(
        password: str, stored: str | None, *, caller: str
    ) -> tuple[bool, str | None]:
        verdict: tuple[bool, str | None] = await verify(password, stored, caller=caller)
        change = "UPDATE auth.users SET password_hash = $2 WHERE id = $1"
        await auth.rows(change, UUID(ada.id), another)
        return verdict

    monkeypatch.setattr(passwords, "verify", verify_late)
    form = {"grant_type": "password", "username": ada.username, "password": PASSWORD}
    check_refusal(await auth.http.post("/token", data=form), 400, "invalid_grant")
    assert await auth.rows(count, UUID(ada.id)) == before


async def test_a_client_may_show_its_secret_either_way_but_not_both(auth: Auth) -> None:
    secret = derived(auth, "chat")
    by_body = {**SERVICE, "client_id": "chat", "client_secret": secret}
    by_header = {"Authorization": basic("chat", secret)}
    assert (await ask(auth, urlencode(by_body))).status_code == 200
    assert (await ask(auth, urlencode(SERVICE), **by_header)).status_code == 200
    both = await ask(auth, urlencode(by_body), **by_header)
    check_refusal(both, 400, "invalid_request")


async def test_wrong_and_unknown_clients_are_told_alike_either_way(auth: Auth) -> None:
    for name in ("chat", "nobody", "", "Chat", "no\x00body", "x" * 900, "ch:at"):
        by_header = await ask(auth, urlencode(SERVICE), Authorization=basic(name, "wrong"))
        check_refusal(by_header, 401, "invalid_client")
        assert by_header.headers["www-authenticate"].startswith('Basic realm="')
        if "\x00" not in name:
            form = {**SERVICE, "client_id": name, "client_secret": "wrong"}
            check_refusal(await ask(auth, urlencode(form)), 401, "invalid_client")


async def test_a_client_that_shows_nothing_is_asked_to(auth: Auth) -> None:
    nothing: list[dict[str, str]] = [
        {},
        {"Authorization": "Basic"},
        {"Authorization": "Negotiate a"},
    ]
    for headers in nothing:
        check_refusal(await ask(auth, urlencode(SERVICE), **headers), 401, "invalid_client")


async def test_an_authorization_header_does_not_disturb_the_other_grants(
    auth: Auth, ada: Account
) -> None:
    """Pages of documentation send an empty Basic, frontends their present access token."""
    form = {"grant_type": "password", "username": ada.username, "password": PASSWORD}
    for header in ("Basic Og==", "Bearer whatever", f"Bearer {ada.tokens['access_token']}"):
        answer = await ask(auth, urlencode(form), Authorization=header)
        assert answer.status_code == 200
        again = {"grant_type": "refresh_token", "refresh_token": answer.json()["refresh_token"]}
        assert (await ask(auth, urlencode(again), Authorization=header)).status_code == 200


async def test_a_scope_that_is_asked_for_is_answered_with_the_one_that_is_given(
    auth: Auth, ada: Account
) -> None:
    user = {"grant_type": "password", "username": ada.username, "password": PASSWORD}
    service = {**SERVICE, "client_id": "chat", "client_secret": derived(auth, "chat")}
    for scope in ("user", "internal", "everything and more", '"\\'):
        for form, given in ((user, "user"), (service, "internal")):
            answer = (await ask(auth, urlencode({**form, "scope": scope}))).json()
            assert answer["scope"] == given
            assert claims_of(answer["access_token"])["scope"] == given


# --------------------------------------------------------------------------- secrets of services


@pytest.fixture
async def made(settings: AuthSettings) -> AsyncGenerator[tuple[OAuthClient, str]]:
    async with work_for(settings) as work:
        client, secret = await clients.add(work, name="chat")
        yield client, secret
        await clients.remove(work, client_id=client.id)


async def status_with(auth: Auth, name: str, secret: str) -> int:
    return (await ask(auth, urlencode(SERVICE), Authorization=basic(name, secret))).status_code


async def test_several_secrets_of_a_service_hold_at_once_until_each_is_removed(
    auth: Auth, made: tuple[OAuthClient, str]
) -> None:
    _, secret = made
    work = auth.app.state.work
    second, second_secret = await clients.add(work, name="chat")
    for each in (secret, second_secret, derived(auth, "chat")):
        assert await status_with(auth, "chat", each) == 200
        assert await status_with(auth, "storage", each) == 401

    assert await clients.remove(work, client_id=second.id)
    assert not await clients.remove(work, client_id=second.id)
    assert await status_with(auth, "chat", second_secret) == 401
    assert await status_with(auth, "chat", secret) == 200


async def test_secrets_are_random_and_kept_as_digests(
    auth: Auth, made: tuple[OAuthClient, str]
) -> None:
    client, secret = made
    assert re.fullmatch(r"szs_[\w-]{43}", secret, re.ASCII)
    rows = await auth.rows("SELECT * FROM auth.service_clients WHERE id = $1", client.id)
    assert [row["secret_digest"] for row in rows] == [hashlib.sha256(secret.encode()).digest()]
    assert secret not in str(rows)


@pytest.mark.parametrize(
    ("change", "derived_holds", "configured_holds"),
    [
        ({}, True, False),
        ({"service_secrets_derived": False}, False, False),
        ({"service_secrets": "chat=of the settings"}, False, True),
        ({"service_secrets": "storage=of the settings"}, True, False),
        (
            {"service_secrets": "chat=of the settings", "service_secrets_derived": False},
            False,
            True,
        ),
    ],
)
async def test_which_secrets_hold_beside_those_that_were_made(
    settings: AuthSettings,
    made: tuple[OAuthClient, str],
    change: dict[str, Any],
    derived_holds: bool,
    configured_holds: bool,
) -> None:
    changed = AuthSettings(
        secret_key="wX3vP9qLkT7mZr5nB1cY8dF6gH2jS4aEoUi",
        database_url=settings.database_url,
        password_threads=1,
        **change,
    )
    platform = platform_for_tests("auth", TokenIssuer(key=SigningKey.generate()))
    app = create_app(changed, platform)
    transport = httpx.ASGITransport(app)
    async with running(app), httpx.AsyncClient(transport=transport, base_url="http://auth") as http:
        auth = Auth(app, http, changed)
        assert await status_with(auth, "chat", made[1]) == 200
        assert (await status_with(auth, "chat", derived(auth, "chat")) == 200) is derived_holds
        assert (await status_with(auth, "chat", "of the settings") == 200) is configured_holds


# --------------------------------------------------------------------------- claims


def claims_of(token: str) -> dict[str, Any]:
    return dict(jwt.decode(token, options={"verify_signature": False}))


async def test_an_access_token_says_what_it_must_and_nothing_else(auth: Auth, ada: Account) -> None:
    device = await ada.http.post(
        "/v1/devices", json={"client_id": "phone", "name": "Phone", "platform": "android"}
    )
    without = claims_of((await ada.log_in())["access_token"])
    answer = await ada.log_in(device_id=device.json()["id"])
    token = answer["access_token"]
    header, claims = jwt.get_unverified_header(token), claims_of(token)

    kid = auth.app.state.context.keyring.issuer().key.kid
    assert header == {"typ": "at+jwt", "alg": "ES256", "kid": kid}
    always = {"iss", "aud", "sub", "jti", "iat", "nbf", "exp", "scope"}
    assert without.keys() == always | {"sid"}
    assert claims.keys() == without.keys() | {"did"}
    assert (claims["iss"], claims["aud"], claims["scope"]) == ("sharezync", "sharezync", "user")
    assert (claims["sub"], claims["did"]) == (ada.id, device.json()["id"])
    assert str(UUID(claims["sid"])) == claims["sid"]
    assert claims["jti"] != without["jti"]
    assert claims["iat"] == claims["nbf"] == claims["exp"] - 600


async def test_a_service_token_says_what_it_must_and_nothing_else(auth: Auth) -> None:
    form = {**SERVICE, "client_id": "chat", "client_secret": derived(auth, "chat")}
    answer = (await ask(auth, urlencode(form))).json()
    claims = claims_of(answer["access_token"])
    header = jwt.get_unverified_header(answer["access_token"])

    assert header.keys() == {"typ", "alg", "kid"}
    assert header["typ"] == "at+jwt"
    assert claims.keys() == {"iss", "aud", "sub", "jti", "iat", "nbf", "exp", "scope"}
    assert (claims["aud"], claims["sub"]) == ("sharezync.internal", "service:chat")
    assert claims["scope"] == "internal"
    assert claims["exp"] - claims["iat"] == answer["expires_in"] == 300
    assert "refresh_token" not in answer  # §4.4.3
    assert answer["token_type"] == "bearer"


async def test_access_tokens_live_as_long_as_the_setting_says(
    settings: AuthSettings,
) -> None:
    changed = settings.model_copy(update={"access_token_expire_minutes": 3})
    platform = platform_for_tests("auth", TokenIssuer(key=SigningKey.generate()))
    app = create_app(changed, platform)
    transport = httpx.ASGITransport(app)
    async with running(app), httpx.AsyncClient(transport=transport, base_url="http://auth") as http:
        person = {"username": "shortly", "email": "shortly@example.com", "password": PASSWORD}
        await http.post("/v1/auth/register", json=person)
        auth = Auth(app, http, changed)
        form = {"grant_type": "password", "username": "shortly", "password": PASSWORD}
        answer = (await ask(auth, urlencode(form))).json()
    claims = claims_of(answer["access_token"])
    assert claims["exp"] - claims["iat"] == answer["expires_in"] == 180


class NoDatabase:
    """Stands where a unit of work would be; nothing can be read."""

    def read(self) -> None:
        raise ConnectionError("the database is away")


async def test_services_get_tokens_by_their_settings_while_the_database_is_away(
    settings: AuthSettings,
) -> None:
    work: Any = NoDatabase()
    secret = derive_service_secret(settings.require_secret_key(), "chat")
    assert await clients.identify(work, settings, client_id="chat", secret=secret) == "chat"
    # Known or not, what does not hold is looked for there: both take the same work.
    for name in ("chat", "nobody"):
        with pytest.raises(ConnectionError):
            await clients.identify(work, settings, client_id=name, secret="wrong")
