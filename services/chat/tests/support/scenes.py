"""What there is to be asked for at each of chat's operations."""

import secrets
from functools import partial

import httpx

from services.chat.tests.support.world import World
from sharezync_testkit.documented import Arrange, Scene
from sharezync_testkit.forger import ABSENT


async def scenes(world: World) -> Arrange:
    """Return what arranges a scene: somebody with a channel, a message and a friend in it."""
    return partial(_arrange, world, await world.service())


async def _arrange(world: World, gateway: httpx.AsyncClient, operation: str) -> Scene:
    person, friend, other = await world.people("fay", "fred", "olga")
    path = operation.partition(" ")[2]
    channel = await person.channel("public", friend)
    file_id = world.peers.add_file(person.id)
    message = await person.say(channel, attachments=[file_id])
    if path.endswith("/join"):  # where one is not yet
        channel = await friend.channel("public")
    elif path.endswith("/leave"):  # the owner can't
        channel = await friend.channel("public", person)
    channel_id = channel.rpartition("/")[2]
    invite = await person.post(f"{channel}/invites") if "invite" in path else {"id": "", "code": ""}
    known = {
        "channel_id": channel_id,
        "stream": f"channel:{channel_id}",
        "message_id": message["id"],
        "reply_to": message["id"],
        "file_id": file_id,
        "attachments": [],
        "author": friend.id,
        "user_id": other.id if path.endswith("/members") else friend.id,
        "user_ids": [friend.id],
        "other_id": person.id,
        "emoji": ":tada:",
        "invite_id": invite["id"],
        "code": invite["code"],
        # Or all but the first would be answered without a look at the rest.
        "client_message_id": secrets.token_hex,
        "idempotency-key": ABSENT,
    }
    return Scene(person.http, gateway, known)
