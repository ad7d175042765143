"""People with accounts."""

import secrets
from dataclasses import dataclass

from sharezync import Client, Session

PASSWORD = "correct horse battery staple"


@dataclass
class Login:
    """Somebody who is logged in."""

    client: Client
    session: Session
    username: str
    id: str


async def registered(base_url: str, name: str) -> Login:
    client = Client(base_url)
    username = f"{name}_{secrets.token_hex(4)}"
    user = await client.register(username, f"{username}@example.com", PASSWORD)
    session = await client.login(username, PASSWORD)
    return Login(client, session, username, user.id)


async def channel_of(*people: Login) -> str:
    """Return a new private channel with all of them in it."""
    first, *others = people
    channel = await first.session.chat.create("engines")
    for each in others:
        await first.session.chat.add(channel.id, each.id)
    return channel.id
