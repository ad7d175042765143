"""Emoji: known before the first reaction."""

from sharezync_chat.usecases import emoji_forms


async def test_the_list_is_read_at_the_start() -> None:
    emoji_forms._forms.cache_clear()
    async with emoji_forms.loaded():
        assert emoji_forms._forms.cache_info().currsize == 1
    assert emoji_forms.normal_form("❤") == "❤️"
