"""ShareZync from Python: chat, and files from device to device.

`Client` is the way in; `Session` is a login, by topic; `Socket` hears what happens. What can go
wrong is a `SharezyncError`.
"""

from sharezync.client import Client
from sharezync.documents import (
    Ban,
    Capability,
    Channel,
    Device,
    Message,
    Recipient,
    StoredFile,
    Transfer,
    TransferFile,
    User,
)
from sharezync.preferences import Blocked, ReceivingPolicy
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
from sharezync.realtime.frames import (
    Connected,
    Incoming,
    Lost,
    Signal,
    StreamEventFrame,
    StreamReset,
)
from sharezync.realtime.socket import Socket
from sharezync.session import Session
from sharezync.tokens import FileTokens, MemoryTokens, Tokens, TokenStore
from sharezync.transfer.offering import Address
from sharezync.transfer.progress import Progress
from sharezync.transfer.statistics import Statistics
from sharezync.transfer.transfer_http import TransferHttp

__all__ = [
    "Address",
    "AlreadyThere",
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
    "Incoming",
    "Lost",
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
