"""Documents as Zync's clients know them, made of ours."""

from typing import Any, Final

Document = dict[str, Any]

_MEDIA: Final = frozenset({"image", "video", "audio"})
KINDS: Final = frozenset({"public", "private"})
"""What they call a channel; conversations are none."""


def user_of(user: Document) -> Document:
    """Return a user. `email` is null where it isn't one's own."""
    first, last = names_of(user)
    return {
        "id": user["id"],
        "username": user["username"],
        "email": user.get("email"),
        "status": "active",
        "first_name": first,
        "last_name": last,
        "profile_picture": None,
        "created_at": user["created_at"],
        "updated_at": user["created_at"],
    }


def names_of(user: Document) -> tuple[str | None, str | None]:
    """Return the first name and the last; none where the display name says no more than the
    username.
    """
    shown = user["display_name"]
    if shown == user["username"]:
        return None, None
    first, _, last = shown.partition(" ")
    return first, last or None


def display_name_of(first: str | None, last: str | None) -> str | None:
    """Return what both names come to; None without any."""
    return " ".join(name for name in (first, last) if name) or None


def channel_of(channel: Document) -> Document:
    """Return a channel."""
    names = ("id", "name", "description", "owner_id", "created_at", "updated_at")
    return {name: channel[name] for name in names}


def message_of(message: Document) -> Document:
    """Return a message. Of several attachments it shows the first."""
    file = next(iter(message["attachments"]), None)
    return {
        "id": message["id"],
        "author_id": message["author"]["id"],
        "channel_id": message["channel_id"],
        "message_type": _type_of(file),
        "content": message["text"] or None,
        "s3_key": file and file["file_id"],
        "content_type": file and file["mime"],
        "original_filename": file and file["name"],
        "created_at": message["created_at"],
        "updated_at": message["edited_at"] or message["created_at"],
        "author": {name: message["author"][name] for name in ("id", "username")},
    }


def _type_of(file: Document | None) -> str:
    if file is None:
        return "text"
    kind = str(file["mime"]).partition("/")[0]
    return kind if kind in _MEDIA else "file"
