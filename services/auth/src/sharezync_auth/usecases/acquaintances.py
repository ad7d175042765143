"""Who knows whom: chat and transfer say it, where people meet."""

import asyncio

from sharezync_shared.calls.client import ServiceUnavailable
from sharezync_shared.contracts.services import Services
from sharezync_shared.ids import UserId


async def exists(services: Services, user_id: UserId, other_id: UserId) -> bool:
    """Return whether `other_id` knows `user_id`, from a channel or a transfer they agreed to.

    Both services are asked at once and the first yes decides. Raises ServiceUnavailable where one
    of them could not be asked and the other says no.
    """
    asked = [
        asyncio.create_task(client.acquainted(user_id, other_id))
        for client in (services.chat, services.transfer)
    ]
    unavailable: ServiceUnavailable | None = None
    try:
        for answer in asyncio.as_completed(asked):
            try:
                if await answer:
                    return True
            except ServiceUnavailable as error:
                unavailable = error
    finally:
        for task in asked:
            task.cancel()
        await asyncio.gather(*asked, return_exceptions=True)
    if unavailable is not None:
        raise unavailable
    return False
