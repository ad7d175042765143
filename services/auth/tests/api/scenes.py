"""What there is to be asked for at each of auth's operations."""

from functools import partial

import httpx

from services.auth.tests.api.conftest import PASSWORD, Auth, register
from sharezync_shared.ids import uuid7
from sharezync_testkit.documented import Arrange, Scene


def scenes(auth: Auth, gateway: httpx.AsyncClient) -> Arrange:
    """Return what arranges a scene: somebody with a device."""
    return partial(_arrange, auth, gateway)


async def _arrange(auth: Auth, gateway: httpx.AsyncClient, operation: str) -> Scene:
    person = await register(auth, "fay")
    made = await person.http.post("/v1/devices", json={"client_id": "one", "name": "One"})
    listed = await person.http.get("/v1/auth/sessions")
    known = {
        "user_id": person.id,
        "device_id": made.json()["id"],
        "session_id": listed.json()["items"][0]["id"],
        "node_id": str(uuid7()),
        "ids": person.id,
        "password": PASSWORD,
        "current_password": PASSWORD,
        "avatar_file_id": auth.peers.add_file(person.id),
    }
    if operation == "PUT /v1/blocks/{user_id}":  # nobody blocks themselves
        known["user_id"] = (await register(auth, "sam")).id
    if operation == "POST /token":
        known["username"] = person.username
    return Scene(person.http, gateway, known)
