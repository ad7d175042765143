"""What there is to be asked for at each of transfer's operations."""

import secrets
from functools import partial
from typing import Final

from services.transfer.tests.support.world import World
from sharezync_testkit.documented import Arrange, Scene
from sharezync_testkit.forger import ABSENT

# What the recipient has done before this is asked.
_BEFORE: Final = {
    "pause": ["accept"],
    "resume": ["accept", "pause"],
    "complete": ["accept"],
    "token": ["accept"],
    "receipts": ["accept"],
}


def scenes(world: World) -> Arrange:
    """Return what arranges a scene: a recipient, or where only they may act a sender."""
    return partial(_arrange, world)


async def _arrange(world: World, operation: str) -> Scene:
    sender, recipient, other = await world.people(3)
    transfer = await sender.offer(recipient, files={"film.mkv": 0})
    act = operation.rpartition("/")[2]
    for earlier in _BEFORE.get(act, []):
        await recipient.act(transfer, earlier)
    phone = await world.on_device(recipient)
    known = {
        "transfer_id": transfer["id"],
        "recipients": [{"user_id": other.id}],
        "files": [{"name": "film.mkv", "size": 1}] if act == "transfers" else [0],
        "file": 0,
        "user_id": recipient.id,
        "device_id": phone.device_id if "policies" in operation else None,
        "token": ABSENT,
        "other_id": sender.id,
        "stream": recipient.stream,
        # Or all but the first would be answered without a look at the rest.
        "client_transfer_id": secrets.token_hex,
        "idempotency-key": ABSENT,
    }
    return Scene((sender if act == "complete" else recipient).http, world.gateway, known)
