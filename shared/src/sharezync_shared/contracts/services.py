"""The clients of all services, for those that call several."""

from dataclasses import dataclass
from typing import Protocol, Self

from sharezync_shared.calls.client import Client, Credentials
from sharezync_shared.contracts.auth import AuthClient
from sharezync_shared.contracts.chat import ChatClient
from sharezync_shared.contracts.storage import StorageClient
from sharezync_shared.contracts.transfer import TransferClient


class Clients(Protocol):
    """Where clients come from; see `Platform.client`."""

    def client(self, kind: type[Client], credentials: Credentials | None = None) -> Client:
        """Return a client of this kind."""
        ...


@dataclass(frozen=True, slots=True)
class Services:
    """What can be asked of other services. Never inside a transaction.

    Every call raises ServiceUnavailable where the service does not answer as it should: the caller
    may come again. Nothing is closed here.
    """

    auth: AuthClient
    chat: ChatClient
    transfer: TransferClient
    storage: StorageClient

    @classmethod
    def from_platform(cls, platform: Clients, credentials: Credentials | None = None) -> Self:
        """Return the clients of a platform; `credentials` None: its own, fetched from auth."""
        return cls(
            platform.client(AuthClient, credentials),
            platform.client(ChatClient, credentials),
            platform.client(TransferClient, credentials),
            platform.client(StorageClient, credentials),
        )
