"""The development broker is a real RabbitMQ of our own, found again after a crash."""

import asyncio
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import aio_pika
import psutil
import pytest

from sharezync_embedded.processes import port_is_free
from sharezync_embedded.provision import find_server
from sharezync_embedded.rabbitmq import BrokerFailed, DevBroker


@pytest.fixture
def brokers(folder: Path) -> Iterator[tuple[DevBroker, DevBroker]]:
    """Two users of one node."""
    server = find_server()
    if server is None:
        pytest.skip("RabbitMQ is not installed here; the broker of this run comes from elsewhere")
    one, other = DevBroker(folder, server), DevBroker(folder, server)
    yield one, other
    one.stop(force=True)


async def declare(url: str) -> None:
    """Declare the queue. It is on disk when this returns.

    RabbitMQ answers sooner: a queue that was declared within a second before its node was killed
    was lost now and then, or of no use any more (seen with 3.10, classic and quorum queues).
    """
    async with await aio_pika.connect(url) as connection:
        await (await connection.channel()).declare_queue("kept", durable=True)
    await asyncio.sleep(2)


async def publish(url: str, text: str) -> None:
    async with await aio_pika.connect(url) as connection:
        channel = await connection.channel()
        message = aio_pika.Message(text.encode(), delivery_mode=aio_pika.DeliveryMode.PERSISTENT)
        await channel.default_exchange.publish(message, "kept")


async def fetch(url: str) -> str:
    async with await aio_pika.connect(url) as connection:
        channel = await connection.channel()
        queue = await channel.declare_queue("kept", durable=True, passive=True)
        message = await queue.get(timeout=30)  # of a node that has only just started
        await message.ack()
        return message.body.decode()


@pytest.mark.slow
@pytest.mark.timeout(180)
async def test_a_node_is_shared_taken_over_recovered_and_stopped_by_the_last(
    brokers: tuple[DevBroker, DevBroker], folder: Path
) -> None:
    one, other = brokers
    url = one.start()
    pid = one.pid()
    assert pid is not None
    assert other.start() == url
    assert other.pid() == pid
    assert _heard_beyond_loopback(pid) == set()

    await declare(url)
    assert not one.stop()
    assert other.pid() == pid

    names = _epmd_port(folder)
    assert not port_is_free(names)
    await publish(url, "confirmed")
    os.kill(pid, signal.SIGKILL)
    recovered = one.start()
    assert (one.pid() != pid, recovered) == (True, url)
    assert await fetch(recovered) == "confirmed"
    assert port_is_free(names)
    names = _epmd_port(folder)

    assert not other.stop()
    assert one.stop()
    assert one.pid() is None
    assert port_is_free(names)
    with pytest.raises(BrokerFailed, match="no RabbitMQ runs"):
        one.url()


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_a_node_that_cannot_start_says_why(folder: Path) -> None:
    broken = folder / "rabbitmq-server"
    broken.write_text("#!/bin/sh\necho 'the disk is upside down'\nsleep 0.2\nexit 1\n")
    broken.chmod(0o755)
    with pytest.raises(BrokerFailed, match="the disk is upside down"):
        DevBroker(folder, broken).start()


def _epmd_port(folder: Path) -> int:
    return int(json.loads((folder / "rabbitmq" / "node.json").read_text())["epmd_port"])


def _heard_beyond_loopback(pid: int) -> set[str]:
    listening = psutil.Process(pid).net_connections("tcp")
    return {
        connection.laddr.ip for connection in listening if connection.status == psutil.CONN_LISTEN
    } - {"127.0.0.1", "::1"}
