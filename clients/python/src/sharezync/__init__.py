"""ShareZync from Python: chat, and files from device to device.

`Client` is a server; `Session` is a login, by topic; `Socket` receives what happens. What can go
wrong is a `SharezyncError`.
"""

from sharezync.client import Client, Session
from sharezync.documents import (
    Attachment,
    Ban,
    Blocked,
    Capability,
    Channel,
    Device,
    Membership,
    Message,
    ReceivingPolicy,
    Recipient,
    Statistics,
    StoredFile,
    Transfer,
    TransferFile,
    User,
)
from sharezync.problems import (
    AlreadyThere,
    Corrupt,
    FileChanged,
    NotLoggedIn,
    NotUnderstood,
    Problem,
    SharezyncError,
    SocketClosed,
    TransferEnded,
    Unreachable,
    UnsafePath,
)
from sharezync.realtime.frame_router import Connected, Lost, Signal, StreamEventFrame, StreamReset
from sharezync.realtime.socket import Socket
from sharezync.tokens import FileTokens, MemoryTokens, Tokens, TokenStore
from sharezync.transfer.offer import Address
from sharezync.transfer.progress import Progress
from sharezync.transfer.transfer_http import TransferHttp

__all__ = [
    "Address",
    "AlreadyThere",
    "Attachment",
    "Ban",
    "Blocked",
    "Capability",
    "Channel",
    "Client",
    "Connected",
    "Corrupt",
    "Device",
    "FileChanged",
    "FileTokens",
    "Lost",
    "Membership",
    "MemoryTokens",
    "Message",
    "NotLoggedIn",
    "NotUnderstood",
    "Problem",
    "Progress",
    "ReceivingPolicy",
    "Recipient",
    "Session",
    "SharezyncError",
    "Signal",
    "Socket",
    "SocketClosed",
    "Statistics",
    "StoredFile",
    "StreamEventFrame",
    "StreamReset",
    "TokenStore",
    "Tokens",
    "Transfer",
    "TransferEnded",
    "TransferFile",
    "TransferHttp",
    "Unreachable",
    "UnsafePath",
    "User",
]
