"""The JDK's own HTTP client, as it comes: it offers h2c with every request, bodies and all."""

import asyncio
import json
from pathlib import Path

from sharezync_testkit.tus.client import Tus
from tests.blackbox.people import PASSWORD, Person
from tests.edge.product import asker_of
from tests.edge.proxies import Proxy

PROGRAM = Path(__file__).with_name("JdkClient.java")
UPLOAD_BYTES = 300_000
NAMES = ("token", "post", "post-chunked", "read", "rename", "create", "upload", "me")


async def test_its_bodies_arrive(
    java: Path, base_url: str, proxies: dict[str, Proxy], alice: Person, bob: Person
) -> None:
    caller = await asker_of(alice, bob)
    urls = [base_url, *(proxy.url for proxy in proxies.values())]
    channels = (caller.channel_id, caller.followed_id, caller.followed_seq)
    said = await run(java, alice.username, PASSWORD, *channels, UPLOAD_BYTES, *urls)
    lines = [line.partition("\t") for line in said.splitlines()]
    assert [head.split()[0] for head, _, _ in lines] == [*NAMES] * len(urls)
    for number in range(len(urls)):
        own = lines[len(NAMES) * number :][: len(NAMES)]
        told = {head: text for head, _, text in own}
        assert told["token 200"] == "given"
        assert json.loads(told["post 201"])["text"] == "of known length"
        assert json.loads(told["post-chunked 201"])["text"] == "in chunks"
        # With its body lost, it would have marked everything.
        assert json.loads(told["read 200"])["last_read_seq"] == caller.followed_seq
        assert json.loads(told["rename 200"])["display_name"] == "Duke"
        assert told["upload 204"] == str(UPLOAD_BYTES)
        assert json.loads(told["me 200"])["id"] == alice.id
        async with Tus.at(base_url, alice.token) as tus:
            kept = await tus.content(told["create 201"])
        assert kept == bytes(at % 251 for at in range(UPLOAD_BYTES))


async def run(program: Path, *arguments: object) -> str:
    """Run the Java program and return what it printed."""
    process = await asyncio.create_subprocess_exec(
        program,
        PROGRAM,
        *map(str, arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, errors = await process.communicate()
    assert process.returncode == 0, out.decode() + errors.decode()
    return out.decode()
