"""Reading a channel whose messages are more than one page holds."""

from collections.abc import Awaitable, Callable

import pytest

from clients.python.tests.support.people import Login, channel_of

LogIn = Callable[..., Awaitable[Login]]
pytestmark = pytest.mark.timeout(60)


async def test_pages_that_end_before_their_limit_are_gone_on_from(log_in: LogIn) -> None:
    ada = await log_in("ada")
    chat, channel_id = ada.session.chat, await channel_of(ada)
    said = [(await chat.send(channel_id, f"{n} " + "क" * 15_980)).id for n in range(13)]
    assert [each.id for each in await chat.history(channel_id, limit=50)] == said
    assert [each.id for each in await chat.history(channel_id, limit=12)] == said[1:]
    assert [each.id for each in await chat.history(channel_id, after=0, limit=12)] == said[:12]
