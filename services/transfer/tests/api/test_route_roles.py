"""Every route against every role. A new route needs a row here."""

from typing import Final

import pytest

from services.transfer.tests.support.world import World
from sharezync_shared.ids import uuid7

ROLES = ("sender", "recipient", "stranger")

_FILES = [{"name": "a", "size": 1}]

# What each of ROLES is answered about an offer that nobody has accepted.
MATRIX: Final[dict[str, tuple[int, int, int]]] = {
    "POST /v1/transfers": (201, 201, 201),
    "GET /v1/transfers": (200, 200, 200),
    "GET /v1/transfers/stats": (200, 200, 200),
    "GET /v1/transfers/policies": (200, 200, 200),
    "GET /v1/transfers/policies/{device_id}": (404, 200, 404),
    "PUT /v1/transfers/policies/{device_id}": (404, 200, 404),
    "GET /v1/transfers/{transfer_id}": (200, 200, 404),
    "GET /v1/transfers/{transfer_id}/missing": (200, 200, 404),
    "POST /v1/transfers/{transfer_id}/accept": (403, 200, 404),
    "POST /v1/transfers/{transfer_id}/reject": (403, 200, 404),
    "POST /v1/transfers/{transfer_id}/pause": (409, 409, 404),
    "POST /v1/transfers/{transfer_id}/resume": (409, 409, 404),
    "POST /v1/transfers/{transfer_id}/cancel": (200, 200, 404),
    "POST /v1/transfers/{transfer_id}/complete": (409, 403, 404),
    "POST /v1/transfers/{transfer_id}/token": (200, 409, 404),
    "POST /v1/transfers/{transfer_id}/receipts": (403, 409, 404),
}

# Where a capability token of the transfer will do, once the recipient has accepted: what that of
# the sender, of the recipient, and of either for another transfer, is answered.
BY_CAPABILITY: Final[dict[str, tuple[int, int, int]]] = {
    "GET /v1/transfers/{transfer_id}/missing": (200, 200, 401),
    "POST /v1/transfers/{transfer_id}/complete": (409, 403, 401),
    "POST /v1/transfers/{transfer_id}/receipts": (403, 200, 401),
}

INTERNAL: Final = (
    "POST /internal/commands",
    "GET /internal/acquaintances",
    "POST /internal/transfers/{transfer_id}/attach",
    "POST /internal/transfers/{transfer_id}/progress",
    "GET /internal/streams/heads",
    "GET /internal/streams/replay",
    "POST /internal/streams/changes",
)


async def test_every_route_has_a_row(world: World) -> None:
    routes = {
        f"{method.upper()} {path}"
        for path, operations in world.app.openapi()["paths"].items()
        for method in operations
    }
    assert routes == MATRIX.keys() | set(INTERNAL)


@pytest.mark.parametrize("role", ROLES)
async def test_every_route_answers_every_role_as_the_table_says(world: World, role: str) -> None:
    for name, statuses in MATRIX.items():
        sender, recipient, stranger, other = await world.people(4)
        offered = await sender.offer(recipient)
        who = {"sender": sender, "recipient": recipient, "stranger": stranger}[role]
        phone = await world.on_device(recipient)
        method, _, template = name.partition(" ")
        bodies = {
            "POST /v1/transfers": {"recipients": [{"user_id": other.id}], "files": _FILES},
            "PUT /v1/transfers/policies/{device_id}": {"policy": "ask"},
            "POST /v1/transfers/{transfer_id}/receipts": {"file": 0, "ranges": [[0, 0]]},
        }
        path = template.format(
            transfer_id=offered["id"], device_id=phone.device_id, user_id=other.id
        )
        answer = await who.http.request(method, path, json=bodies.get(name))
        assert answer.status_code == statuses[ROLES.index(role)], f"{name}: {answer.text}"
        if answer.is_error:
            assert answer.headers["content-type"] == "application/problem+json"


async def test_capability_tokens_open_what_the_table_says_and_nothing_else(world: World) -> None:
    async with world.stranger() as nobody:
        for name in MATRIX:
            sender, recipient, other = await world.people(3)
            offered = await sender.offer(recipient)
            elsewhere = await sender.offer(recipient)
            taken = await recipient.act(offered, "accept")
            method, _, template = name.partition(" ")
            path = template.format(transfer_id=offered["id"], device_id=uuid7(), user_id=other.id)
            shown = [offered["token"], taken["token"], elsewhere["token"]]
            for token, status in zip(shown, BY_CAPABILITY.get(name, (401,) * 3), strict=True):
                answer = await nobody.request(
                    method,
                    path,
                    json={"file": 0, "ranges": [[0, 0]]},
                    headers={"Authorization": f"Transfer {token}"},
                )
                assert answer.status_code == status, f"{name}: {answer.text}"
                if status == 401:
                    assert answer.json()["code"] == "unauthenticated"
                    assert answer.headers["www-authenticate"].startswith("Bearer")
