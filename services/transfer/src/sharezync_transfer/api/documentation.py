"""What the API's pages say of tags, and of fields that mean the same wherever they occur."""

from typing import Final

TAGS: Final = {
    "transfers": "Transfers of files from user to user: offers, progress, statistics and policies.",
}

FIELDS: Final = {
    "id": "Unique id",
    "transfer_id": "Id of the transfer",
    "user_id": "Id of the user",
    "device_id": "Id of the device",
    "sender_id": "Id of the sender",
    "sender_device_id": "Device of the sender; null if unknown",
    "recipients": "Recipients of the transfer",
    "files": "Files of the transfer",
    "index": "Number of the file in the transfer, from 0",
    "name": "Name of the file",
    "size_bytes": "Size in bytes",
    "mime": "Media type",
    "chunk_count": "Number of chunks",
    "chunk_size_bytes": "Size of each chunk but the last, in bytes",
    "state": "State of the transfer",
    "note": "Message to the recipients",
    "created_at": "When the transfer was offered",
    "expires_at": "When the offer expires",
    "completed_at": "When the transfer was completed; null if it isn't",
    "role": "Role in the transfer",
    "policy": "How offers are handled",
    "sent": "Transfers that you sent",
    "received": "Transfers that you received",
    "completed": "Number of completed transfers",
    "items": "Items of this page",
    "commands": "Commands, in the order in which they were sent",
    "idempotency-key": "Used as `client_transfer_id` if the body has none",
}
