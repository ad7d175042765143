"""What the API's pages say of tags, and of fields that mean the same wherever they occur."""

from typing import Final

TAGS: Final = {
    "authentication": "Register, get and refresh tokens, change the password, and end sessions.",
    "users": "Profiles, user search and blocked users.",
    "devices": "Devices of users. A device connects to `/ws/{client_id}` to receive events.",
}

FIELDS: Final = {
    "id": "Unique id",
    "user_id": "Id of the user",
    "device_id": "Id of the device",
    "session_id": "Id of the session",
    "node_id": "Id of the gateway node",
    "client_id": "Name of the device in `/ws/{client_id}`, chosen by the client",
    "username": "Unique name, with which the user logs in and is mentioned",
    "display_name": "Name to show to other users",
    "email": "Email address. Only the user sees it",
    "bio": "Short text about the user",
    "avatar_file_id": "Id of the file that is the avatar; null if there is none",
    "password": "Password of the account",
    "current_password": "Current password of the account",
    "new_password": "Password from now on",
    "name": "Name of the device",
    "platform": "Operating system or kind of the device",
    "online": "Whether the device is connected",
    "last_seen_at": "When the device was last connected",
    "created_at": "When it was created",
    "last_used_at": "When the session was last used",
    "blocked_at": "When the user was blocked",
    "items": "Items of this page",
    "other_ids": "Ids of the other users",
    "user_ids": "Ids of the users",
    "users": "Users",
    "devices": "Devices",
    "who_may_add": "Who may add the user to channels and start conversations with them",
}
