"""Every route against every role, and against every bad token. A new route needs a row here."""

from collections.abc import Sequence
from typing import Final

import httpx
import pytest

from services.transfer.tests.support.world import World
from sharezync_shared.testing.bad_tokens import bad_tokens, bearer, good_token
from sharezync_shared.testing.forger import Door
from sharezync_shared.tokens import SigningKey, TokenIssuer

ROLES = ("sender", "recipient", "stranger")

_OFFER = {"recipients": [{"user_id": "{other}"}], "files": [{"name": "a", "size": 1}]}
_ID = "01936f0c-2b7e-7d33-8d7a-0c8e3a7c1f10"

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


async def _knock(client: httpx.AsyncClient, name: str, token: str | None) -> httpx.Response:
    method, _, template = name.partition(" ")
    headers = {} if token is None else bearer(token)
    return await client.request(method, template.format(transfer_id=_ID), headers=headers)


async def test_no_route_opens_without_a_token_or_to_the_wrong_kind(
    world: World, issuer: TokenIssuer
) -> None:
    doors: Sequence[tuple[Sequence[str], Door, Door]] = [
        (list(MATRIX), "user", "service"),
        (INTERNAL, "service", "user"),
    ]
    other_issuer = TokenIssuer(key=SigningKey.generate())
    async with world.stranger() as client:
        for names, door, wrong_door in doors:
            tokens = (None, good_token(issuer, wrong_door), good_token(other_issuer, door))
            for name in names:
                for token in tokens:
                    answer = await _knock(client, name, token)
                    assert answer.status_code == 401, f"{name}: {answer.text}"
                    assert answer.json()["code"] == "unauthenticated"


async def test_bad_tokens_of_users_are_refused(world: World, issuer: TokenIssuer) -> None:
    async with world.stranger() as client:
        for bad, token in bad_tokens(issuer):
            assert (await _knock(client, "GET /v1/transfers", token)).status_code == 401, bad
        good = await _knock(client, "GET /v1/transfers", good_token(issuer))
        assert good.status_code == 200


async def test_bad_tokens_of_services_are_refused(world: World, issuer: TokenIssuer) -> None:
    path = f"/internal/streams/heads?user_id={_ID}"
    async with world.stranger() as client:
        for bad, token in bad_tokens(issuer, "service"):
            assert (await client.get(path, headers=bearer(token))).status_code == 401, bad
        good = good_token(issuer, "service")
        assert (await client.get(path, headers=bearer(good))).status_code == 200
