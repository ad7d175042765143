"""The configurations that deploy/proxies recommends: sockets, addresses, and nothing held back."""

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import pytest
from starlette.types import Receive, Scope, Send

from sharezync_testkit.serving import plain_asgi, serving
from tests.blackbox.people import Person
from tests.edge.conftest import found
from tests.edge.proxies import CONFIGURATIONS, Proxy
from tests.edge.wire import Line

DEPLOYED = ("nginx-deploy", "haproxy-deploy", "haproxy-compose")
WITH_SOCKETS = (*DEPLOYED, "nginx-upgrades", "haproxy-kept")

# What a client says of itself, to be believed by nobody.
LIES = {
    "X-Forwarded-For": "203.0.113.9",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Host": "evil.example",
    "Forwarded": "for=203.0.113.9",
    "Connection": "Upgrade",
    "Upgrade": "h2c",
}


async def test_sockets_pass(proxies: dict[str, Proxy], alice: Person) -> None:
    channel_id = await alice.channel()
    for name in WITH_SOCKETS:
        through = replace(alice, base_url=proxies[name].url)
        async with through.connected() as socket:
            reply = await socket.command("send_message", channel_id=channel_id, text=name)
            assert reply["type"] == "reply", reply
            await socket.event("message.created", text=name)


async def tell(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with the fields of the request."""
    fields = [[part.decode() for part in field] for field in scope["headers"]]
    body = json.dumps(fields).encode()
    length = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": length})
    await send({"type": "http.response.body", "body": body})


async def told_by(proxy: Proxy, lies: dict[str, str]) -> list[list[str]]:
    """Return the fields that arrive of a request with these."""
    lines = "".join(f"{field}: {value}\r\n" for field, value in lies.items())
    line = await Line.open(proxy.port)
    await line.send([f"GET /v1/users/me HTTP/1.1\r\nHost: chat.example\r\n{lines}\r\n".encode()])
    await line.listen(lambda came: came.endswith(b"]]"))
    line.close()
    return list(json.loads(bytes(line.came).partition(b"\r\n\r\n")[2]))


@pytest.mark.parametrize("name", DEPLOYED)
async def test_what_a_client_says_of_its_address_is_not_passed_on(
    name: str, tmp_path: Path
) -> None:
    async with serving(plain_asgi(http=tell)) as served:
        with proxy_to(name, tmp_path, served.port) as proxy:
            told = await told_by(proxy, LIES)
    forwarded = [[field, value] for field, value in told if "forwarded" in field]
    assert sorted(forwarded) == [
        ["x-forwarded-for", "127.0.0.1"],
        ["x-forwarded-host", "chat.example"],
        ["x-forwarded-proto", "http"],
    ]
    fields = {field for field, _ in told}
    assert "upgrade" not in fields
    assert ["host", "chat.example"] in told


async def test_a_proxy_that_the_front_of_compose_knows_is_believed(tmp_path: Path) -> None:
    program = found(CONFIGURATIONS["haproxy-compose"][0])
    async with serving(plain_asgi(http=tell)) as served:
        known = "10.1.0.0/16 127.0.0.1/32"
        with Proxy("haproxy-compose", program, tmp_path, served.port, known=known) as proxy:
            told = await told_by(proxy, LIES)
    assert ["x-forwarded-for", LIES["X-Forwarded-For"]] in told
    assert ["x-forwarded-proto", "https"] in told
    assert ["x-forwarded-host", LIES["X-Forwarded-Host"]] in told


@pytest.mark.parametrize("name", DEPLOYED)
async def test_bytes_are_passed_on_as_they_come(name: str, tmp_path: Path) -> None:
    """A resumable upload keeps each byte that came, and a file is followed while it arrives."""
    uploaded = asyncio.Event()
    go_on = asyncio.Event()

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] == "POST":
            body = b""
            while len(body) < 4:
                body += (await receive())["body"]
            uploaded.set()
            await receive()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"first", "more_body": True})
        await go_on.wait()
        await send({"type": "http.response.body", "body": b"last"})

    async with serving(plain_asgi(http=slow)) as served:
        with proxy_to(name, tmp_path, served.port) as proxy:
            line = await Line.open(proxy.port)
            await line.send([b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 8\r\n\r\n", b"half"])
            async with asyncio.timeout(30):
                await uploaded.wait()
            await line.send([b"half"])
            await line.listen(lambda came: b"first" in came)
            assert b"last" not in line.came
            go_on.set()
            await line.listen(lambda came: b"last" in came)
            line.close()


def proxy_to(name: str, folder: Path, port: int) -> Proxy:
    return Proxy(name, found(CONFIGURATIONS[name][0]), folder, port)
