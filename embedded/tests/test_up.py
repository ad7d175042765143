"""`make run`: the whole product in one process, started, killed, started again and stopped."""

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from sharezync_embedded.fleet import FleetFailed
from sharezync_embedded.postgres import EmbeddedPostgres
from sharezync_testkit.one_process import OneProcess

pytestmark = [pytest.mark.timeout(180)]


@pytest.fixture
def server(folder: Path) -> Iterator[OneProcess]:
    process = OneProcess(folder)
    yield process
    process.stop()


def get(url: str) -> tuple[int, bytes]:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return answer.status, answer.read()


def test_it_survives_its_own_death_and_leaves_nothing_running(
    server: OneProcess, folder: Path
) -> None:
    postgres = EmbeddedPostgres(folder)
    server.start()
    first = postgres.pid()
    assert first is not None
    assert get(f"{server.url}/ready")[0] == 200
    assert json.loads(get(f"{server.url}/openapi.json")[1])["paths"]
    assert b"sharezync_" in get(server.metrics_url)[1]

    server.kill()
    assert postgres.pid() == first
    server.start()
    assert postgres.pid() == first
    assert get(f"{server.url}/ready")[0] == 200

    assert server.stop() == 0
    assert postgres.pid() is None
    said = server.log_path.read_text()
    assert f"gateway   {server.url}" in said
    assert "ShareZync has stopped" in said


def test_two_do_not_share_a_data_folder(
    server: OneProcess, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.start()
    second = OneProcess(folder)
    with pytest.raises(FleetFailed, match=r"(?s)exit code 2.*another ShareZync serves"):
        second.start()
    assert get(f"{server.url}/ready")[0] == 200
