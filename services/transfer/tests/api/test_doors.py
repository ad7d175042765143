"""Every route against every role. A new route needs a row here."""

from typing import Final

import pytest

from services.transfer.tests.support.world import World

ROLES = ("sender", "recipient", "stranger")

_OFFER = {"recipients": [{"user_id": "{other}"}], "files": [{"name": "a", "size": 1}]}

# What each of ROLES is answered about an offer that nobody has accepted.
MATRIX: Final[dict[str, tuple[int, int, int]]] = {
    "POST /v1/transfers": (201, 201, 201),
    "GET /v1/transfers": (200, 200, 200),
    "GET /v1/transfers/stats": (200, 200, 200),
    "GET /v1/transfers/{transfer_id}": (200, 200, 404),
    "GET /v1/transfers/{transfer_id}/missing": (200, 200, 404),
    "POST /v1/transfers/{transfer_id}/accept": (403, 200, 404),
    "POST /v1/transfers/{transfer_id}/reject": (403, 200, 404),
    "POST /v1/transfers/{transfer_id}/pause": (409, 409, 404),
    "POST /v1/transfers/{transfer_id}/resume": (409, 409, 404),
    "POST /v1/transfers/{transfer_id}/cancel": (200, 200, 404),
    "POST /v1/transfers/{transfer_id}/complete": (409, 403, 404),
}

INTERNAL: Final = (
    "POST /internal/commands",
    "GET /internal/acquaintances",
    "POST /internal/transfers/{transfer_id}/attach",
    "POST /internal/transfers/{transfer_id}/progress",
    "GET /internal/streams/heads",
    "GET /internal/streams/replay",
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
        method, _, template = name.partition(" ")
        body = {**_OFFER, "recipients": [{"user_id": other.id}]}
        answer = await who.http.request(
            method,
            template.format(transfer_id=offered["id"]),
            json=body if template == "/v1/transfers" and method == "POST" else None,
        )
        assert answer.status_code == statuses[ROLES.index(role)], f"{name}: {answer.text}"
        if answer.is_error:
            assert answer.headers["content-type"] == "application/problem+json"
