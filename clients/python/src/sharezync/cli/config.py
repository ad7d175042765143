"""What the command remembers between two runs, in the XDG base directories."""

import hashlib
import platform
import re
import secrets
from typing import Final

from sharezync.local import JsonFile, config_folder, state_folder
from sharezync.tokens import FileTokens

DEFAULT_URL: Final = "http://127.0.0.1:8000"


class Config:
    """`config.json` (which server, which device this is) and a folder for each server."""

    def __init__(self) -> None:
        self.folder = config_folder()
        self.state = state_folder()
        self._file = JsonFile(self.folder / "config.json")
        self._content = self._file.members

    @property
    def url(self) -> str:
        """The server of the last login."""
        return str(self._content.get("url", DEFAULT_URL))

    @property
    def client_id(self) -> str:
        """What this device calls itself: chosen once, the same for all servers and logins."""
        if "client_id" not in self._content:
            host = re.sub(r"[^A-Za-z0-9]+", "-", platform.node()).strip("-").lower() or "cli"
            self._file.update(client_id=f"{host[:40]}-{secrets.token_hex(3)}")
        return str(self._content["client_id"])

    def use(self, url: str) -> None:
        """Take this server from now on, where no other is named."""
        self._file.update(url=url)

    def tokens(self, url: str) -> FileTokens:
        """Return the login at a server."""
        return FileTokens(self.folder / "logins" / f"{_key(url)}.json")

    def device_id(self, url: str, username: str) -> str | None:
        """Return the id of this device as a user's there, where it is known."""
        found = self._content.get("devices", {}).get(f"{_key(url)}/{username}")
        return None if found is None else str(found)

    def remember_device(self, url: str, username: str, device_id: str) -> None:
        """Keep it for the next login."""
        devices = {**self._content.get("devices", {}), f"{_key(url)}/{username}": device_id}
        self._file.update(devices=devices)


def _key(url: str) -> str:
    return hashlib.sha256(url.encode()).hexdigest()[:16]
