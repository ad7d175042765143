"""What chat can be told from outside."""

from pydantic import Field

from sharezync_shared.settings import Settings


class ChatSettings(Settings):
    """Settings of the chat service; field names in upper case are the variables."""

    port: int = Field(8002, ge=0, le=65535)
    # How long a link to an attached file holds: long enough to follow a redirect on a slow line,
    # short enough that passing it on is of little use. Storage accepts 300 at most.
    attachment_url_seconds: int = Field(300, ge=1, le=300)
