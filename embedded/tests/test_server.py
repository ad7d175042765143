"""What surrounds the one process: where it says it is, and that it says so when it can't start."""

import os
import signal
import socket
import time
from pathlib import Path

import pytest

from sharezync_embedded.processes import ProcessIdentity, free_port, port_is_free, spawn_apart
from sharezync_embedded.server import banner, metrics_port_of, up
from sharezync_shared.settings import Settings
from sharezync_testkit.server_fixtures import Script


def test_the_banner_says_where_to_look(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, amqp_url="amqp://there")
    text = banner(settings, port=8100, metrics_port=9100, seconds=1.25)
    for wanted in (
        "http://127.0.0.1:8100",
        "ws://127.0.0.1:8100/ws/",
        "http://127.0.0.1:8100/docs",
        "http://127.0.0.1:9100/metrics",
        str(tmp_path),
        "embedded PostgreSQL",
        "RabbitMQ",
    ):
        assert wanted in text


def test_metrics_have_a_port_even_where_the_usual_one_is_taken() -> None:
    port = free_port()
    assert metrics_port_of(Settings(port=port)) == port + 1000
    assert metrics_port_of(Settings(port=port, metrics_port=1)) == 1
    assert metrics_port_of(Settings(port=0)) > 0
    assert metrics_port_of(Settings(port=65000)) < 2**16
    with socket.create_server(("127.0.0.1", port + 1000)):
        assert port_is_free(metrics_port_of(Settings(port=port)))


def test_a_taken_port_is_said_before_anything_starts(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken = server.getsockname()[1]
        with pytest.raises(SystemExit, match=f"port {taken} is taken"):
            up(Settings(port=taken, data_dir=tmp_path / "data"), print)
    assert not (tmp_path / "data" / "postgres").exists()


def test_free_ports_lie_below_those_of_outgoing_connections() -> None:
    ports = {free_port() for _ in range(50)}
    assert all(20_000 <= port < 30_000 for port in ports)
    assert free_port(besides=range(20_000, 25_000)) >= 25_000


def test_a_process_apart_outlives_its_parent_and_is_known_again(
    tmp_path: Path, python: Script
) -> None:
    script = """
import os, pathlib, signal, sys
from sharezync_embedded.processes import spawn_apart
process = spawn_apart(["sleep", "60"], env=dict(os.environ), log_path=pathlib.Path(sys.argv[1]))
print(process.pid, process.started_at, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    with python(script, tmp_path / "log") as parent:
        pid, started_at = parent.communicate(timeout=30)[0].split()
    apart = ProcessIdentity(int(pid), float(started_at))
    assert apart.alive()
    assert not ProcessIdentity(
        apart.pid, apart.started_at - 60
    ).alive()  # the id, but not the process
    assert apart.end(timeout_seconds=10)
    assert not apart.alive()
    assert apart.end(timeout_seconds=0)  # gone already


def test_a_process_that_does_not_listen_is_made_to_stop(tmp_path: Path) -> None:
    log = tmp_path / "log"
    deaf = spawn_apart(
        ["sh", "-c", "trap '' TERM; echo deaf; while :; do sleep 0.1; done"],
        env=dict(os.environ),
        log_path=log,
    )
    deadline = time.monotonic() + 10
    while "deaf" not in log.read_text() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not deaf.end(timeout_seconds=0.2)
    assert not deaf.alive()


def test_it_is_asked_to_stop_when_whoever_started_it_is_gone(
    tmp_path: Path, python: Script
) -> None:
    middle = """
import os, subprocess, sys
script = '''
import signal, sys, time
from sharezync_embedded.processes import stop_with_parent
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
stop_with_parent()
print(__import__("os").getpid(), flush=True)
time.sleep(60)
'''
subprocess.Popen([sys.executable, "-c", script])
sys.stdin.read()
"""
    with python(middle) as parent:
        assert parent.stdout
        child = ProcessIdentity.from_pid(int(parent.stdout.readline()))
        os.kill(parent.pid, signal.SIGKILL)
        deadline = time.monotonic() + 10
        while child.alive() and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not child.alive()
