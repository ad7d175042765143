"""What sockets answer is what the AsyncAPI document says they do."""

from services.gateway.tests.api.realtime.transfer.scene import Scene
from services.gateway.tests.api.realtime.world import PROTOCOL, World
from sharezync_gateway.asyncapi.frames import CLIENT


async def test_every_type_that_is_answered_is_in_it_and_no_other(world: World) -> None:
    async with world.node() as node:
        plain = set(node.engine._socket_handler._handlers)
    async with Scene(world).replica() as replica:
        everything = set(replica.node.engine._socket_handler._handlers)
        assert everything == plain | set(replica.transfers.handlers)
    assert PROTOCOL.types("client") == everything == set(CLIENT)
    assert PROTOCOL.types("client", channel="channel") == plain
