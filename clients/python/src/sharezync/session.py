"""One login, and everything that can be done with it."""

from collections.abc import Mapping

from sharezync.chat import Chat
from sharezync.files.downloads import Downloads
from sharezync.files.uploads import Uploads
from sharezync.http import Http
from sharezync.people import People
from sharezync.preferences import Preferences
from sharezync.realtime.cursors import Cursor
from sharezync.realtime.socket import Socket
from sharezync.renewal import Renewal
from sharezync.transfer.transfers import Transfers


class Session:
    """What a login can do, by topic. `http` makes requests on its behalf, for all else."""

    def __init__(self, http: Http, renewal: Renewal) -> None:
        self.renewal = renewal
        self.http = http.on_behalf_of(renewal.authorize)
        self.people = People(self.http)
        self.chat = Chat(self.http, self.people)
        self.transfers = Transfers(self.http, renewal, self.people)
        self.preferences = Preferences(self.http)
        self.uploads = Uploads(self.http)
        self.downloads = Downloads(self.http)

    def socket(
        self,
        device: str,
        *,
        cursors: Mapping[str, Cursor] | None = None,
        events: bool = True,
        opening_seconds: float | None = None,
    ) -> Socket:
        """Return the socket of a device, to be entered: `async with session.socket("laptop")`.

        With `cursors` (`Socket.cursors` of an earlier one) it goes on from there: what was missed
        comes first. With `events=False` nothing is kept for `async for`: for who only moves files.
        `opening_seconds` is for how long it is tried at first: a minute, if nothing is said.
        """
        return Socket(
            self.http.base_url,
            self.renewal,
            device,
            cursors=cursors,
            events=events,
            opening_seconds=opening_seconds,
        )
