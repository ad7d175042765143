"""A fleet starts in order, loses a member without losing its head, and leaves nobody behind."""

import json
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sharezync_embedded.fleet import FleetFailed
from sharezync_embedded.processes import ProcessIdentity
from sharezync_shared.settings import SERVICES
from sharezync_testkit.drilled_fleet import DrilledFleet
from sharezync_testkit.server_fixtures import Script

# Answers /ready, and writes down what it was told to do.
SERVICE = """
import http.server, json, os, pathlib, signal, sys
name, command = {name!r}, sys.argv[1]
keys = ["PORT", "METRICS_PORT", "DATABASE_URL", "DATABASE_ROLE", "AMQP_URL", "SECRET_KEY",
        "CHAT_URL", "AUTH_URL"]
told = {{"name": name, "command": command, "pid": os.getpid()}}
told |= {{key: os.environ[key] for key in keys if key in os.environ}}
with pathlib.Path(os.environ["DATA_DIR"], "told").open("a") as file:
    file.write(json.dumps(told) + "\\n")
print("hello from", name, command, flush=True)
if command == os.environ.get("FAIL_AT") and name == "chat":
    sys.exit("chat has a cold")
if command == "serve":
    class Ready(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
        def log_message(self, *arguments):
            pass
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    http.server.HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Ready).serve_forever()
"""

Told = Callable[[], list[dict[str, str]]]


@pytest.fixture
def told(folder: Path) -> Told:
    return lambda: [json.loads(line) for line in (folder / "told").read_text().splitlines()]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Stands in for the five services, which aren't what is tested here."""
    for name in SERVICES:
        package = tmp_path / f"sharezync_{name}"
        package.mkdir()
        (package / "__init__.py").touch()
        (package / "__main__.py").write_text(SERVICE.format(name=name))
    return {"PYTHONPATH": str(tmp_path)}


@pytest.fixture
def make(folder: Path, environment: dict[str, str]) -> Iterator[Callable[..., DrilledFleet]]:
    """Makes fleets on stand-in services; whatever they started is stopped."""
    made: list[DrilledFleet] = []

    def make(**arguments: object) -> DrilledFleet:
        given: dict[str, object] = {
            "database_url": "postgresql://given",
            "amqp_url": "amqp://given",
            "environment": environment,
        }
        fleet = DrilledFleet(folder, **{**given, **arguments})  # type: ignore[arg-type]  # any of them
        made.append(fleet)
        return fleet

    yield make
    for fleet in made:
        fleet.stop()


def test_schemas_are_migrated_before_anything_serves(
    make: Callable[..., DrilledFleet], told: Told
) -> None:
    make(secret_key="the secret").start()
    first, last = told()[:4], told()[4:]
    assert {entry["name"] for entry in first} == {"auth", "chat", "transfer", "storage"}
    assert {entry["command"] for entry in first} == {"migrate"}
    assert {entry["name"] for entry in last} == set(SERVICES)
    assert {entry["command"] for entry in last} == {"serve"}
    for entry in last:
        assert entry["DATABASE_URL"] == "postgresql://given"
        assert entry["AMQP_URL"] == "amqp://given"
        assert entry["SECRET_KEY"] == "the secret"
        assert "DATABASE_ROLE" not in entry  # a given login is whoever it is


def test_replicas_have_ports_of_their_own_and_each_other(
    make: Callable[..., DrilledFleet], told: Told
) -> None:
    fleet = make(counts={"gateway": 2, "chat": 2})
    fleet.start()
    assert {name: len(urls) for name, urls in fleet.urls.items()} == {
        "auth": 1,
        "chat": 2,
        "transfer": 1,
        "storage": 1,
        "gateway": 2,
    }
    ports = [entry[key] for entry in told()[4:] for key in ("PORT", "METRICS_PORT")]
    assert len(set(ports)) == len(ports) == 14
    gateways = [entry for entry in told() if entry["name"] == "gateway"]
    assert {entry["CHAT_URL"] for entry in gateways} == set(fleet.urls["chat"])
    assert {entry["AUTH_URL"] for entry in gateways} == set(fleet.urls["auth"])


def test_a_single_replica_may_have_an_environment_of_its_own(
    make: Callable[..., DrilledFleet], told: Told
) -> None:
    make(
        counts={"gateway": 2}, replica_environment={"gateway-1": {"AMQP_URL": "amqp://detour"}}
    ).start()
    given = [(entry["name"], entry["AMQP_URL"]) for entry in told() if entry["command"] == "serve"]
    assert sorted(given) == [
        ("auth", "amqp://given"),
        ("chat", "amqp://given"),
        ("gateway", "amqp://detour"),
        ("gateway", "amqp://given"),
        ("storage", "amqp://given"),
        ("transfer", "amqp://given"),
    ]


def test_an_environment_for_nobody_is_an_error(
    make: Callable[..., DrilledFleet], told: Told
) -> None:
    with pytest.raises(FleetFailed, match="no replica is called gateway-1"):
        make(replica_environment={"gateway-1": {"AMQP_URL": "amqp://detour"}}).start()


def test_a_command_of_a_service_runs_beside_it(
    make: Callable[..., DrilledFleet], told: Told
) -> None:
    fleet = make(secret_key="the secret")
    fleet.start()
    assert fleet.run("auth", "rotate-keys") == "hello from auth rotate-keys\n"
    assert (
        told()[-1].items()
        >= {
            "name": "auth",
            "DATABASE_URL": "postgresql://given",
            "SECRET_KEY": "the secret",
        }.items()
    )
    assert fleet.dead() == []


def test_a_command_that_fails_says_why(
    make: Callable[..., DrilledFleet], environment: dict[str, str]
) -> None:
    fleet = make(environment=environment | {"FAIL_AT": "repair"})
    fleet.start()
    with pytest.raises(FleetFailed, match="'chat repair' ended with 1: chat has a cold"):
        fleet.run("chat", "repair")


def test_a_killed_member_is_seen_and_comes_back_where_it_was(
    make: Callable[..., DrilledFleet],
) -> None:
    fleet = make()
    fleet.start()
    assert fleet.dead() == []
    url = fleet.urls["chat"][0]
    fleet.kill("chat")
    assert [replica.label for replica in fleet.dead()] == ["chat-0"]
    assert fleet.dead()[0].exit_code() == -signal.SIGKILL
    fleet.restart("chat")
    assert fleet.dead() == []
    assert fleet.urls["chat"] == [url]


@pytest.mark.parametrize("step", ["migrate", "serve"])
def test_a_member_that_does_not_start_is_named_and_nobody_is_left(
    step: str, make: Callable[..., DrilledFleet], environment: dict[str, str], told: Told
) -> None:
    fleet = make(environment=environment | {"FAIL_AT": step})
    with pytest.raises(FleetFailed, match=r"chat-0 .*(?s:.*)chat has a cold"):
        fleet.start()
    assert not _running(told())


def test_stopping_leaves_nobody(
    make: Callable[..., DrilledFleet], told: Told, folder: Path
) -> None:
    fleet = make()
    fleet.start()
    assert len(_running(told())) == 5
    fleet.stop()
    assert not _running(told())
    assert {replica.exit_code() for replica in fleet.dead()} == {0}  # asked, not killed
    assert not (folder / "fleet.json").exists()


def test_what_a_killed_fleet_left_is_ended_by_the_next(
    make: Callable[..., DrilledFleet],
    environment: dict[str, str],
    told: Told,
    folder: Path,
    python: Script,
) -> None:
    script = """
import os, pathlib, signal, sys
from sharezync_embedded.fleet import Fleet
Fleet(pathlib.Path(sys.argv[1]), database_url="postgresql://given", amqp_url="amqp://given",
      environment={"PYTHONPATH": sys.argv[2]}).start()
os.kill(os.getpid(), signal.SIGKILL)
"""
    with python(script, folder, environment["PYTHONPATH"]) as owner:
        output = owner.communicate(timeout=50)[0]
        assert owner.returncode == -signal.SIGKILL, output
    left = _running(told())
    assert len(left) == 5
    make().start()
    assert not any(process.alive() for process in left)


def test_logs_are_kept_and_shown(
    make: Callable[..., DrilledFleet], capfd: pytest.CaptureFixture[str], folder: Path
) -> None:
    fleet = make(echo=True)
    fleet.start()
    fleet.stop()
    assert (folder / "logs" / "auth-0.log").read_text() == (
        "hello from auth migrate\nhello from auth serve\n"
    )
    assert "auth-0      | hello from auth serve\n" in capfd.readouterr().out


def test_a_database_of_our_own_gives_each_service_a_role(
    make: Callable[..., DrilledFleet], told: Told
) -> None:
    fleet = make(database_url=None)
    fleet.start()
    roles = {entry["name"]: entry.get("DATABASE_ROLE") for entry in told()}
    assert roles == {
        "auth": "sharezync_auth",
        "chat": "sharezync_chat",
        "transfer": "sharezync_transfer",
        "storage": "sharezync_storage",
        "gateway": None,
    }
    assert all("/sharezync?host=" in entry["DATABASE_URL"] for entry in told())


def _running(told: list[dict[str, str]]) -> list[ProcessIdentity]:
    found = []
    for entry in told:
        if entry["command"] == "serve":
            try:
                identity = ProcessIdentity.from_pid(int(entry["pid"]))
            except ProcessLookupError:
                continue
            if identity.alive():
                found.append(identity)
    return found
