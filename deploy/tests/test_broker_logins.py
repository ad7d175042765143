"""The broker's logins: each service does its own work with its own, and nobody else's."""

import asyncio
import json
import os
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import aio_pika
import pytest
from aiormq.exceptions import ChannelAccessRefused

from deploy.tests.fleet import PORTS, ROOT, WITH_DATABASE
from sharezync_shared.events.amqp.policies import POLICIES
from sharezync_shared.events.bus import BusUnavailable, Envelope
from sharezync_shared.events.rabbitmq import RabbitMQBus
from sharezync_shared.ids import uuid7
from sharezync_testkit.servers import VirtualHosts
from sharezync_testkit.waiting import GIVE_UP_SECONDS

PASSWORDS = {service: f"{service}-{os.getpid()}" for service in (*PORTS, "admin")}


def run_script(folder: Path, passwords: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run the script of the compose file."""
    return subprocess.run(
        ["sh", str(ROOT / "deploy" / "rabbitmq" / "logins.sh"), "true"],
        env={
            "PATH": os.environ["PATH"],
            "RABBITMQ_CONFIG_FOLDER": str(folder),
            "RABBITMQ_PASSWORD": passwords["admin"],
            **{f"{name.upper()}_BROKER_PASSWORD": passwords[name] for name in PORTS},
        },
        capture_output=True,
        text=True,
        check=False,
    )


def definitions(folder: Path, passwords: dict[str, str] = PASSWORDS) -> str:
    """Return what the script gives the broker."""
    ran = run_script(folder, passwords)
    assert ran.returncode == 0, ran.stderr
    assert (folder / "logins.json").stat().st_mode & 0o077 == 0
    return (folder / "logins.json").read_text()


@pytest.fixture
def url(virtual_hosts: VirtualHosts, fresh_amqp_url: str, tmp_path: Path) -> str:
    if virtual_hosts.broker.management_url is None:
        pytest.skip("a broker from outside is given no logins")
    given = json.loads(definitions(tmp_path))
    name = urlsplit(fresh_amqp_url).path.lstrip("/")
    del given["vhosts"]
    for each in (*given["permissions"], *given["topic_permissions"], *given["policies"]):
        each["vhost"] = name
    virtual_hosts.import_definitions(json.dumps(given).encode())
    return fresh_amqp_url


def test_the_limits_of_queues_are_those_of_the_product(tmp_path: Path) -> None:
    expected = [{"vhost": "/", "name": each.name, **each.document()} for each in POLICIES]
    assert json.loads(definitions(tmp_path))["policies"] == expected


async def test_a_limit_is_changed_while_the_queue_is_used(
    url: str, virtual_hosts: VirtualHosts
) -> None:
    """The queue of the unrouted keeps as many as the policy says, before and after."""
    bus = RabbitMQBus(url)
    await bus.start()
    try:
        vhost = urlsplit(url).path.lstrip("/")
        for limit in (3, 5):
            policy = {
                "vhost": vhost,
                "name": "mine",
                "pattern": r"^sharezync\.unrouted$",
                "definition": {"max-length": limit},
                "priority": 1,  # above ours
                "apply-to": "queues",
            }
            virtual_hosts.import_definitions(json.dumps({"policies": [policy]}).encode())
            async with asyncio.timeout(GIVE_UP_SECONDS):
                depth = 0
                while depth != limit:
                    await bus.publish([_unrouted() for _ in range(7)])
                    depth = await _depth(url, "sharezync.unrouted")
    finally:
        await bus.aclose()


def _unrouted() -> Envelope:
    return Envelope(
        id=uuid7(),
        source="/auth",
        type="auth.nobody.listens.v1",
        subject="",
        time=datetime.now(UTC),
        data=b"{}",
    )


async def _depth(url: str, queue: str) -> int:
    connection = await aio_pika.connect(url)
    async with connection, connection.channel() as channel:
        found = await channel.declare_queue(queue, passive=True)
        return found.declaration_result.message_count or 0


def as_service(url: str, service: str) -> str:
    parts = urlsplit(url)
    host = f"{service}:{PASSWORDS[service]}@{parts.hostname}:{parts.port}"
    return urlunsplit(parts._replace(netloc=host))


def test_passwords_of_any_characters_stay_passwords(tmp_path: Path) -> None:
    passwords = {**PASSWORDS, "admin": r"a\"b\\c\\", "auth": 'x","tags":"administrator","y":"'}
    passwords["chat"] = "%s $(id) `id` 'é & \\n"
    users = json.loads(definitions(tmp_path, passwords))["users"]
    assert {user["name"]: user["password"] for user in users} == passwords
    assert [user["name"] for user in users if user["tags"]] == ["admin"]


def test_a_password_with_a_line_break_starts_no_broker(tmp_path: Path) -> None:
    ran = run_script(tmp_path, {**PASSWORDS, "chat": "one\ntwo"})
    assert ran.returncode != 0
    assert "control character" in ran.stderr
    assert "one" not in ran.stderr
    assert not (tmp_path / "logins.json").exists()


def fact(event_type: str) -> Envelope:
    return Envelope(
        id=uuid7(), type=event_type, source="/test", subject="x", time=datetime.now(UTC), data=b"{}"
    )


async def test_each_service_publishes_and_consumes_with_its_own_login(url: str) -> None:
    got: asyncio.Queue[str] = asyncio.Queue()

    async def handle(envelope: Envelope) -> None:
        got.put_nowait(envelope.type)

    for service in WITH_DATABASE:
        bus = RabbitMQBus(as_service(url, service), name=service)
        try:
            await bus.consume(f"{service}.events", [f"{service}.thing.done.v1"], handle)
            await bus.start()
            await bus.publish([fact(f"{service}.thing.done.v1")])
            async with asyncio.timeout(GIVE_UP_SECONDS):
                assert await got.get() == f"{service}.thing.done.v1"
        finally:
            await bus.aclose()


async def test_the_gateway_starts_with_its_login_and_publishes_no_facts(url: str) -> None:
    bus = RabbitMQBus(as_service(url, "gateway"), name="gateway", publish_seconds=2)
    try:
        await bus.start()
        assert bus.ready
        with pytest.raises(BusUnavailable):
            await bus.publish([fact("auth.user.deleted.v1")])
    finally:
        await bus.aclose()


async def test_no_service_speaks_under_anothers_name(url: str) -> None:
    bus = RabbitMQBus(as_service(url, "chat"), name="chat", publish_seconds=2)
    try:
        await bus.start()
        with pytest.raises(BusUnavailable):
            await bus.publish([fact("auth.user.deleted.v1")])
    finally:
        await bus.aclose()


async def test_no_service_reads_anothers_queue(url: str) -> None:
    owner = RabbitMQBus(as_service(url, "transfer"), name="transfer")
    connection = await aio_pika.connect(as_service(url, "chat"))
    try:
        await owner.consume("transfer.events", ["transfer.x.y.v1"], _ignore)
        await owner.start()
        async with connection:
            channel = await connection.channel()
            queue = await channel.get_queue("transfer.events", ensure=False)
            with pytest.raises(ChannelAccessRefused):
                await queue.consume(_ignore_message)
    finally:
        await owner.aclose()


async def _ignore(_: Envelope) -> None: ...


async def _ignore_message(_: object) -> None: ...
