"""`end-all-sessions`: after a restore nothing holds that a login of before had."""

import argparse

import pytest
from pydantic import SecretStr

from services.auth.tests.api.conftest import Auth, register
from services.auth.tests.api.keys import follow
from sharezync_auth.commands.end_all_sessions import END_ALL_SESSIONS
from sharezync_auth.settings import AuthSettings
from sharezync_auth.states import KeyRequest


async def end_all(settings: AuthSettings) -> int:
    return await END_ALL_SESSIONS.run(settings, argparse.Namespace()) or 0


async def test_everybody_logs_in_again_and_no_key_of_before_signs(
    auth: Auth, settings: AuthSettings, capsys: pytest.CaptureFixture[str]
) -> None:
    ada = await register(auth, "ada")
    before = {key.key.kid for key in await follow(settings, KeyRequest.UPKEEP)}
    assert await end_all(settings) == 0
    assert "logins have ended" in capsys.readouterr().out
    assert not before & {key.key.kid for key in await follow(settings, KeyRequest.UPKEEP)}

    refreshed = await ada.refresh(ada.tokens["refresh_token"])
    assert (refreshed.status_code, refreshed.json()["error"]) == (400, "invalid_grant")
    assert (await ada.log_in())["access_token"]


async def test_with_another_secret_nothing_is_changed(
    auth: Auth, settings: AuthSettings, capsys: pytest.CaptureFixture[str]
) -> None:
    ada = await register(auth, "ada")
    before = {key.key.kid for key in await follow(settings, KeyRequest.UPKEEP)}
    other = settings.model_copy(update={"secret_key": SecretStr("x" * 48)})
    assert await end_all(other) == 2
    assert "SECRET_KEY" in capsys.readouterr().err
    assert before == {key.key.kid for key in await follow(settings, KeyRequest.UPKEEP)}
    assert (await ada.http.get("/v1/auth/sessions")).json()["items"]
