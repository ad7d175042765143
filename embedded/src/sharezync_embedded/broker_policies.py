"""Setting the policies of a broker that we have started, by its HTTP API."""

import time
import urllib.error
import urllib.request
from base64 import b64encode
from urllib.parse import urlsplit

import msgspec

from sharezync_shared.events.amqp.policies import POLICIES

_PAUSE_SECONDS = 0.1
_REQUEST_SECONDS = 10


def set_policies(management_url: str, *, timeout_seconds: float) -> None:
    """Set all policies of the product in the virtual host `/`. Safe to repeat.

    The API may come up a moment after the broker itself: waits so long for it. Raises OSError.
    """
    deadline = time.monotonic() + timeout_seconds
    parts = urlsplit(management_url)
    login = b64encode(f"{parts.username}:{parts.password}".encode()).decode()
    for policy in POLICIES:
        request = urllib.request.Request(
            f"http://{parts.hostname}:{parts.port}/api/policies/%2F/{policy.name}",
            data=msgspec.json.encode(policy.document()),
            method="PUT",
            headers={"Authorization": f"Basic {login}", "Content-Type": "application/json"},
        )
        while True:
            try:
                with urllib.request.urlopen(request, timeout=_REQUEST_SECONDS):  # noqa: S310 - as above
                    break
            except OSError as error:  # URLError is one
                # Before the API is up: no connection, or an answer that says so.
                refused = isinstance(error, urllib.error.HTTPError) and error.code < 500
                if refused or time.monotonic() > deadline:
                    raise
                time.sleep(_PAUSE_SECONDS)
