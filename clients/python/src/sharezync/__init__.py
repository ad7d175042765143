"""ShareZync from Python: chat, and files from device to device.

`Client` is the way in; `Session` is a login, by topic; `Socket` hears what happens. What can go
wrong is a `SharezyncError`.
"""

from sharezync.choices import Blocked, DevicePolicy
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
from sharezync.realtime.frames import Connected, Event, Incoming, Lost, Reset, Signal
from sharezync.realtime.socket import Socket
from sharezync.session import Session
from sharezync.tokens import FileTokens, MemoryTokens, Tokens, TokenStore
from sharezync.transfer.doors import Doors
from sharezync.transfer.offering import Address
from sharezync.transfer.progress import Progress
from sharezync.transfer.statistics import Statistics

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
    "DevicePolicy",
    "Doors",
    "Event",
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
    "Recipient",
    "Reset",
    "Session",
    "SharezyncError",
    "Signal",
    "Socket",
    "SocketClosed",
    "Statistics",
    "StoredFile",
    "TokenStore",
    "Tokens",
    "Transfer",
    "TransferEnded",
    "TransferFile",
    "Unreachable",
    "UnsafePath",
    "User",
]
