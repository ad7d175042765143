"""Settings of chat, read from the environment."""

from pydantic import Field

from sharezync_shared.settings import Settings


class ChatSettings(Settings):
    """Settings of the chat service; field names in upper case are the variables."""

    port: int = Field(8002, ge=0, le=65535)  # 0: any that is free
    # How long a link to an attached file holds: long enough to follow a redirect on a slow line,
    # short enough that passing it on is of little use. Storage accepts 300 at most.
    attachment_url_seconds: int = Field(300, ge=1, le=300)

    # --- how much at once: docs/limits.md ----------------------------------------------------
    # Made by one account and not deleted; of conversations, not left or hidden, or not answered
    # yet. Nobody minds more by hand; a script in a loop does.
    channels_per_user: int = Field(500, ge=1)
    conversations_per_user: int = Field(1000, ge=1)
    # Channels and conversations in which somebody agreed to be; others may have put them into three
    # quarters as many beside. All are told with each first load, and a socket resumes at most 2,000
    # streams.
    memberships_per_user: int = Field(1000, ge=1, le=1100)
    # Each message goes to all of them, and an event of each who comes and goes.
    members_per_channel: int = Field(10_000, ge=2)
    # That hold: each is a way in that somebody has to keep in mind.
    invites_per_channel: int = Field(100, ge=1)
    invites_per_user: int = Field(500, ge=1)
    # The list is read as a whole.
    pins_per_channel: int = Field(100, ge=1)
    # Different ones: more is a toy, and all of them ride with every page of history.
    emoji_per_message: int = Field(50, ge=1)
    # Of these, by one member: nobody alone uses up what all have. Five together do.
    emoji_per_member: int = Field(10, ge=1)
    # What a message said before: the original and the latest. Each may be 64 KB.
    edits_per_message: int = Field(100, ge=2)
