"""Getting in: whose socket it is, and what it continues from."""

import asyncio
import json
import time
from contextlib import AsyncExitStack

import pytest
from websockets.exceptions import InvalidStatus

from services.gateway.tests.api.realtime.registry import device_named
from services.gateway.tests.api.realtime.world import (
    ORIGIN,
    Device,
    Node,
    User,
    World,
)
from sharezync_gateway.realtime.service_calls import Revoked
from sharezync_gateway.realtime.socket_limits import SocketLimits
from sharezync_shared.sizes import MAX_CHUNK_BYTES, MAX_TEXT_FRAME_BYTES
from sharezync_testkit.waiting import wait_until


@pytest.mark.parametrize("by", ["header", "subprotocol"])
async def test_a_token_may_come_with_the_handshake(
    world: World, node: Node, ada: User, by: str
) -> None:
    channel = world.channel(ada)
    world.services.say(channel)
    async with node.device(ada, by=by) as device:
        assert device.socket.subprotocol == "sharezync.v1"
        assert device.hello["conn_id"]
        assert device.hello["ping_interval_s"] > 0
        assert device.hello["limits"]["text_bytes"] == MAX_TEXT_FRAME_BYTES
        assert device.ready["type"] == "ready"
        assert device.ready["user"] == ada.id
        assert device.ready["device"] == device_named("laptop")
        assert device.ready["heads"] == {
            channel: ["e1", 1],
            f"inbox:{ada.id}": ["e1", 0],
            f"transfers:{ada.id}": ["e1", 0],
            f"account:{ada.id}": ["e1", 0],
        }


async def test_a_token_may_come_in_the_first_frame(world: World, node: Node, ada: User) -> None:
    async with node.device(ada, by="frame") as device:
        await device.say("send_message", channel_id="x")
        assert (await device.frame("error"))["code"] == "unauthenticated"
        await device.say("authenticate", token=device.token)
        assert (await device.frame("ready"))["user"] == ada.id


async def test_few_sockets_of_one_user_are_asked_for_at_the_same_time(
    world: World, node: Node, ada: User, bob: User
) -> None:
    """A hundred at once cost the services as much as a hundred users."""
    gate = world.services.gate["heads"] = asyncio.Event()
    async with AsyncExitStack() as stack, asyncio.TaskGroup() as group:
        for number in range(5):
            device = node.device(ada, f"d{number}")
            group.create_task(stack.enter_async_context(device))
        await wait_until(lambda: len(node.engine.of_user(ada.id)) == 5)
        await wait_until(lambda: world.services.asked.count(("heads", ada.id)) == 2)
        group.create_task(stack.enter_async_context(node.device(bob)))
        await wait_until(lambda: ("heads", bob.id) in world.services.asked)
        assert world.services.asked.count(("heads", ada.id)) == 2
        gate.set()
        await wait_until(lambda: world.services.asked.count(("heads", ada.id)) == 5)


async def test_without_a_token_in_time_the_socket_is_closed(world: World, ada: User) -> None:
    async with (
        world.node(limits=SocketLimits(first_frame_seconds=0.05)) as node,
        node.device(ada, by="frame") as device,
    ):
        assert await device.closed() == 4501


async def test_other_frames_instead_of_a_token_end_the_socket(node: Node, ada: User) -> None:
    async with node.device(ada, by="frame") as device:
        for _ in range(11):
            await device.say("ping")
        assert await device.closed() == 4029


@pytest.mark.parametrize("by", ["header", "subprotocol", "frame"])
async def test_a_bad_token_is_told_by_a_close_code(node: Node, ada: User, by: str) -> None:
    bad = node.world.token(ada)[:-4] + "AAAA"
    device = Device(node, ada, "/ws/laptop", token=bad, by=by)
    device._waits_for_ready = False
    async with device:
        if by == "frame":
            await device.say("authenticate", token=bad)
        assert await device.closed() == 4501


async def test_a_token_in_the_query_string_is_refused_unless_allowed(
    world: World, ada: User
) -> None:
    async with world.node() as node:
        device = node.device(ada, by="query")
        device._waits_for_ready = False
        async with device:
            assert await device.closed() == 4501
    limits = SocketLimits(allow_query_token=True)
    async with world.node(limits=limits) as node, node.device(ada, by="query") as device:
        assert device.ready["user"] == ada.id


@pytest.mark.parametrize("origin", [ORIGIN, None])
async def test_pages_of_our_own_and_programs_get_in(
    node: Node, ada: User, origin: str | None
) -> None:
    async with node.device(ada, headers={"Origin": origin} if origin else None) as device:
        assert device.ready["user"] == ada.id


@pytest.mark.parametrize("origin", ["https://evil.example", "null", ORIGIN + ".evil.example"])
async def test_pages_of_others_are_refused_before_a_socket_opens(
    node: Node, ada: User, origin: str
) -> None:
    with pytest.raises(InvalidStatus) as refused:
        await node.device(ada, headers={"Origin": origin}).__aenter__()
    assert refused.value.response.status_code == 403
    assert json.loads(refused.value.response.body or b"")["code"] == "forbidden"


@pytest.mark.parametrize("path", ["/ws/" + "x" * 65, "/ws/a b", "/ws/channels/nope", "/ws/a/b"])
async def test_paths_that_name_no_device_or_channel_are_not_found(
    node: Node, ada: User, path: str
) -> None:
    with pytest.raises(InvalidStatus) as refused:
        await Device(node, ada, path.replace(" ", "%20")).__aenter__()
    assert refused.value.response.status_code == 404


async def test_another_version_of_the_protocol_is_told_so(node: Node, ada: User) -> None:
    device = node.device(ada, subprotocols=["sharezync.v9"])
    device._waits_for_ready = False
    async with device:
        assert await device.closed() == 4509


async def test_hello_tells_what_the_settings_allow(world: World, ada: User) -> None:
    limits = SocketLimits(commands_per_second=7)
    async with world.node(limits=limits) as node, node.device(ada) as device:
        announced = {
            "text_bytes": MAX_TEXT_FRAME_BYTES,
            "chunk_bytes": MAX_CHUNK_BYTES,
            "commands_per_second": 7.0,
        }
        assert device.hello["limits"] == announced


async def test_one_user_has_only_so_many_connections(world: World, ada: User, bob: User) -> None:
    limits = SocketLimits(max_connections_per_user=2)
    async with world.node(limits=limits) as node:
        async with node.device(ada, "one"), node.device(ada, "two"):
            third = node.device(ada, "three")
            third._waits_for_ready = False
            async with third:
                assert await third.closed() == 4504
            async with node.device(bob) as device:
                assert device.ready["type"] == "ready"
        await wait_until(lambda: not node.engine.of_user(ada.id))
        async with node.device(ada, "four") as device:
            assert device.ready["type"] == "ready"


async def test_each_replica_counts_by_itself(world: World, ada: User) -> None:
    """docs/decisions/0012: who comes from a replica that died is not counted twice."""
    limits = SocketLimits(max_connections_per_user=1)
    async with (
        world.node(limits=limits) as first,
        world.node(limits=limits) as second,
        first.device(ada, "phone"),
        second.device(ada, "phone") as again,
    ):
        assert again.ready["type"] == "ready"


async def test_a_fresh_token_keeps_the_socket_and_an_old_one_ends_it(
    world: World, ada: User
) -> None:
    async with world.node(limits=SocketLimits(token_grace_seconds=0)) as node:
        brief = world.token(ada, lives_seconds=2)
        async with (
            node.device(ada, "renewed", token=brief) as renewed,
            node.device(ada, "forgotten", token=brief) as forgotten,
        ):
            frame_id = await renewed.say("authenticate", token=world.token(ada))
            reply = await renewed.frame("reply")
            assert reply["id"] == frame_id
            assert reply["data"]["expires_at"] > 0
            assert await forgotten.closed() == 4501
            await renewed.hears_nothing()


async def test_a_socket_outlives_its_token_by_30_seconds(
    world: World, node: Node, ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    def sweep_at(seconds: float) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(time, "time", lambda: seconds)
            node.engine._socket_handler.sweep()

    async with node.device(ada, token=world.token(ada, lives_seconds=600)) as device:
        (connection,) = node.engine.of_user(ada.id)
        sweep_at(connection.identity.expires_at + 29.9)
        await device.hears_nothing()
        sweep_at(connection.identity.expires_at + 30)
        assert await device.closed() == 4501


async def test_somebody_elses_token_ends_the_socket(
    world: World, node: Node, ada: User, bob: User
) -> None:
    async with node.device(ada) as device:
        await device.say("authenticate", token=world.token(bob))
        assert await device.closed() == 4501


async def test_revoked_sessions_are_known_before_the_node_is_ready(world: World, ada: User) -> None:
    world.services.revoked = Revoked(sessions=[ada.session])
    world.services.away.add("auth")
    async with world.node() as node:
        await asyncio.sleep(0)
        assert not node.engine.ready
        world.services.away.clear()
        await wait_until(lambda: node.engine.ready)
        device = node.device(ada)
        device._waits_for_ready = False
        async with device:
            assert await device.closed() == 4501


async def test_a_channel_socket_gets_that_channel_only(world: World, node: Node, ada: User) -> None:
    channel, other = world.channel(ada), world.channel(ada)
    async with node.on_channel(ada, channel) as device:
        assert device.ready["heads"] == {channel: ["e1", 0]}
        assert device.ready["device"] is None
        await world.say(other)
        await world.say(channel)
        assert (await device.frame())["stream"] == channel
        await device.say("send_message", channel_id=other.removeprefix("channel:"), text="x")
        assert (await device.frame("error"))["code"] == "not-found"


async def test_a_channel_socket_of_a_stranger_is_refused(
    world: World, node: Node, ada: User, bob: User
) -> None:
    channel = world.channel(ada)
    async with node.on_channel(bob, channel) as device:
        assert device.ready["code"] == "not-found"
        assert await device.closed() == 4505
