"""Publishing with confirms, never hanging."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractMessage
from aio_pika.exceptions import PublishError

from sharezync_shared.background import uncancelled
from sharezync_shared.events.amqp.link import LinkUser, close_quietly, until_closed
from sharezync_shared.events.bus import BusUnavailable

DEFAULT_EXCHANGE: Final = ""


class Returned(BusUnavailable):
    """The broker found no queue for a message that must have one."""


class Publisher(LinkUser):
    """One channel with confirms. `declare` makes what it publishes to."""

    def __init__(
        self,
        name: str,
        declare: Callable[[AbstractChannel], Awaitable[None]],
        *,
        timeout_seconds: float,
    ) -> None:
        super().__init__()
        self.name = name
        self._declare = declare
        self._timeout_seconds = timeout_seconds
        self._connection: AbstractConnection | None = None
        self._channel: AbstractChannel | None = None

    async def serve(self, connection: AbstractConnection) -> None:
        """As `LinkUser.serve`."""
        channel = connection.channel(publisher_confirms=True, on_return_raises=True)
        await channel.initialize()
        try:
            await self._declare(channel)
            self._connection, self._channel = connection, channel
            self.serving.set()
            await until_closed(channel)
        finally:
            self._connection = self._channel = None
            await close_quietly(channel)

    async def publish(
        self, message: AbstractMessage, exchange: str, routing_key: str, *, mandatory: bool
    ) -> None:
        """Return once the broker has confirmed the message.

        Raises Returned where `mandatory` and no queue took it; BusUnavailable when there is no
        connection, it is lost meanwhile, or the broker does not answer in time. Then it may have
        been published or not.
        """
        connection, channel = self._connection, self._channel
        if connection is None or channel is None or connection.transport is None:
            raise BusUnavailable("the broker is not connected")
        try:
            async with asyncio.timeout(self._timeout_seconds):
                await connection.transport.ready()  # waits while the broker blocks publishers
                target = (
                    await channel.get_exchange(exchange, ensure=False)
                    if exchange
                    else channel.default_exchange
                )
                await uncancelled(target.publish(message, routing_key, mandatory=mandatory))
        except PublishError as error:
            raise Returned(f"no queue for {routing_key}") from error
        except TimeoutError as error:
            raise BusUnavailable("the broker did not confirm in time") from error
        except Exception as error:
            # A channel that closes fails its calls with whatever closed it, a bare Exception
            # included. All of it means: not confirmed.
            raise BusUnavailable(repr(error)) from error

    async def reset(self) -> None:
        """Close the channel, so that everything is declared anew."""
        if self._channel is not None:
            await close_quietly(self._channel)
