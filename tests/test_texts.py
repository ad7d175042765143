"""No service takes free text for which nobody has said what is kept of it."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import pytest
from fastapi import FastAPI
from pydantic import BaseModel

import sharezync_auth.app
import sharezync_chat.app
import sharezync_storage.app
import sharezync_transfer.app
from sharezync_auth.settings import AuthSettings
from sharezync_chat.settings import ChatSettings
from sharezync_shared.names.policies import TOPIC
from sharezync_shared.platform import Platform
from sharezync_shared.tokens.issuer import TokenIssuer
from sharezync_shared.tokens.signing import SigningKey
from sharezync_storage.settings import StorageSettings
from sharezync_testkit.service import platform_for_tests
from sharezync_testkit.texts import without_policy
from sharezync_transfer.settings import TransferSettings

SECRET = "Tq8mLx3VnC6wRz9KpBy5Hd2JgFs7Ue4a"
DATABASE = "postgresql://nobody@localhost/nothing"

APPS: dict[str, Callable[[Platform, Path], FastAPI]] = {
    "auth": lambda platform, _: sharezync_auth.app.create_app(
        AuthSettings(_env_file=None, secret_key=SECRET, database_url=DATABASE), platform
    ),
    "chat": lambda platform, _: sharezync_chat.app.create_app(
        ChatSettings(_env_file=None, secret_key=SECRET, database_url=DATABASE), platform
    ),
    "transfer": lambda platform, _: sharezync_transfer.app.create_app(
        TransferSettings(_env_file=None, secret_key=SECRET, database_url=DATABASE), platform
    ),
    "storage": lambda platform, folder: sharezync_storage.app.create_app(
        StorageSettings(_env_file=None, secret_key=SECRET, database_url=DATABASE, data_dir=folder),
        platform,
    ),
}


@pytest.mark.parametrize("service", APPS)
def test_every_text_that_comes_in_has_a_policy(service: str, tmp_path: Path) -> None:
    platform = platform_for_tests(service, TokenIssuer(key=SigningKey.generate()))
    assert without_policy(APPS[service](platform, tmp_path).openapi()) == []


class _Inner(BaseModel):
    words: list[str]


class _Body(BaseModel):
    topic: Annotated[str, TOPIC]
    title: str
    inner: _Inner | None = None


def test_a_text_without_one_is_found_wherever_it_is() -> None:
    app = FastAPI()

    @app.post("/things/{name}")
    async def post(name: str, body: _Body, q: str | None = None) -> None:
        """Take texts."""

    document: dict[str, Any] = app.openapi()
    document["x-realtime"] = {
        "commands": [{"type": "say", "request": {"$ref": "#/schemas/Say"}}],
        "schemas": {"Say": {"properties": {"text": {"type": "string"}}}},
    }
    assert without_policy(document) == [
        "POST /things/{name} path name",
        "POST /things/{name} query q",
        "POST /things/{name} application/json .title",
        "POST /things/{name} application/json .inner .words []",
        "command say .text",
    ]
