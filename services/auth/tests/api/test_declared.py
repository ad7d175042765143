"""What auth says on sockets is what it declares (`x-realtime`), and all of it."""

import msgspec

from services.auth.tests.api.conftest import DECLARED, Account, Auth
from sharezync_auth.usecases.events import EVENTS
from sharezync_shared.streams.declared import Realtime


async def test_everything_declared_is_told_and_nothing_else(
    auth: Auth, ada: Account, bob: Account
) -> None:
    await ada.http.put(f"/v1/blocks/{bob.id}")
    await ada.http.delete(f"/v1/blocks/{bob.id}")
    await ada.http.patch("/v1/users/me", json={"bio": "Analyst"})
    await ada.delete()
    await auth.told()
    told = {DECLARED.check(msgspec.json.decode(frame.text)) for frame in auth.frames}
    assert told == DECLARED.declared


def test_its_document_carries_what_it_declares(auth: Auth) -> None:
    assert auth.app.openapi()["x-realtime"] == Realtime(EVENTS).document()
