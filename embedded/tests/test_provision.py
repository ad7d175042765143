"""A RabbitMQ is looked for, installed or run in a container, and its absence is not whispered."""

import os
import socket
import stat
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sharezync_embedded import debian_packages
from sharezync_embedded import provision as module
from sharezync_embedded.provision import provision
from sharezync_embedded.rabbitmq import Broker, DevBroker
from sharezync_embedded.rabbitmq_container import ContainerBroker

Program = Callable[[str, str], Path]


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Program:
    """Puts shell scripts into a PATH that has nothing else of interest."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setattr(module, "_PLACES", (str(tmp_path / "opt"),))
    monkeypatch.setattr(debian_packages, "_SERVICE_POLICY", tmp_path / "policy-rc.d")
    monkeypatch.setattr(os, "geteuid", lambda: 0)

    def write(name: str, script: str) -> Path:
        path = folder / name
        path.write_text(f"#!/bin/sh\nPATH=/usr/bin:/bin\n{script}\n")
        path.chmod(0o755)
        return path

    return write


@pytest.fixture
def heard() -> list[str]:
    return []


def runs(broker: Broker | None) -> Path:
    """The program that a broker of ours is run by."""
    assert isinstance(broker, DevBroker)
    return broker.server


def test_a_given_broker_is_used_and_left_alone(program: Program, tmp_path: Path) -> None:
    broker = provision("amqp://somewhere/", tmp_path)
    assert broker is not None
    assert broker.start() == broker.url() == "amqp://somewhere/"
    assert not broker.stop(force=True)


def test_an_installed_one_is_found(program: Program, tmp_path: Path) -> None:
    server = program("rabbitmq-server", "")
    assert runs(provision(None, tmp_path)) == server


def test_the_program_itself_goes_before_a_wrapper_in_the_path(
    program: Program, tmp_path: Path
) -> None:
    program("rabbitmq-server", "")
    (tmp_path / "opt").mkdir()
    real = tmp_path / "opt" / "rabbitmq-server"
    real.touch(mode=0o755)
    assert runs(provision(None, tmp_path)) == real


def test_a_missing_one_is_installed_without_starting_a_service(
    program: Program, tmp_path: Path, heard: list[str]
) -> None:
    calls, policy = tmp_path / "calls", tmp_path / "policy-rc.d"
    server = tmp_path / "bin" / "rabbitmq-server"
    program(
        "apt-get",
        f'echo "$DEBIAN_FRONTEND $*" >> {calls}\n'
        f"{policy}; echo policy $? >> {calls}\n"
        f'case "$*" in *install*) printf "#!/bin/sh\\n" > {server}; chmod +x {server};; esac',
    )
    assert runs(provision(None, tmp_path, say=heard.append)) == server
    update, refused, install, refused_again = calls.read_text().splitlines()
    assert "noninteractive" in update
    assert update.endswith("update --quiet")
    assert install.endswith("--no-install-recommends rabbitmq-server")
    assert refused == refused_again == "policy 101"
    assert not policy.exists()
    assert any("Installing" in line for line in heard)


def test_nothing_is_installed_where_that_was_not_asked_for(
    program: Program, tmp_path: Path, heard: list[str]
) -> None:
    program("apt-get", f"touch {tmp_path / 'called'}")
    assert provision(None, tmp_path, install=False, say=heard.append) is None
    assert not (tmp_path / "called").exists()


def test_a_container_comes_after_a_failed_installation(
    program: Program, tmp_path: Path, heard: list[str]
) -> None:
    program("apt-get", "echo 'no network' >&2; exit 100")
    program("docker", "echo 28.0")
    assert isinstance(provision(None, tmp_path, say=heard.append), ContainerBroker)
    assert any("no network" in line for line in heard)


def test_a_docker_that_does_not_answer_is_none(
    program: Program, tmp_path: Path, heard: list[str]
) -> None:
    program("docker", "exit 1")
    assert provision(None, tmp_path, say=heard.append) is None
    assert any("NO RABBITMQ" in line for line in heard)
    assert any("LEFT OUT" in line for line in heard)


@pytest.fixture
def greeter() -> Iterator[int]:
    """A port that greets as an AMQP broker does, and takes policies as its HTTP API does."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def greet() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    said = connection.recv(8)
                    if said.startswith(b"PUT"):
                        while not said.endswith(b"}"):
                            said += connection.recv(4096)
                        connection.sendall(b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n")
                    else:
                        connection.sendall(b"\x01")

        thread = threading.Thread(target=greet)
        thread.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
        thread.join()


def test_a_container_is_started_shared_and_removed_by_the_last(
    program: Program, tmp_path: Path, greeter: int
) -> None:
    running, calls = tmp_path / "running", tmp_path / "calls"
    program(
        "docker",
        f'echo "$*" >> {calls}\n'
        "case $1 in\n"
        f"  inspect) test -e {running} && echo true;;\n"
        f"  run) touch {running};;\n"
        f"  port) echo 127.0.0.1:{greeter};;\n"
        f"  rm) rm -f {running};;\n"
        "esac",
    )
    one, other = (ContainerBroker(tmp_path / "data") for _ in range(2))
    url = one.start()
    assert url.endswith(f"@127.0.0.1:{greeter}/")
    assert other.start() == url == other.url()
    started = [call for call in calls.read_text().splitlines() if call.startswith("run ")]
    assert len(started) == 1
    assert "--publish 127.0.0.1::5672" in started[0]
    password = tmp_path / "data" / ".rabbitmq.password"
    assert stat.S_IMODE(password.stat().st_mode) == 0o600
    assert password.read_text() in url
    assert not one.stop()
    assert running.exists()
    assert other.stop()
    assert not running.exists()
