"""The page that people read."""

from typing import Any, Final

from services.auth.tests.api.conftest import Auth

OPEN: Final = {
    "post /token",
    "post /v1/auth/register",
    "get /.well-known/jwks.json",
}
"""What may be asked without a token: it is how one gets one, or what tokens are verified with."""


def test_nothing_is_global() -> None:
    """Five services share a process: importing auth declares nothing in a common place."""
    from sqlmodel import SQLModel  # noqa: PLC0415 - after the models, which come with the fixtures

    import sharezync_auth.models  # noqa: F401, PLC0415 - for what it might leave behind

    assert not [table for table in SQLModel.metadata.tables if "auth" in table]


async def test_every_route_says_what_it_does_and_how_it_refuses(auth: Auth) -> None:
    document = auth.app.openapi()
    seen = set()
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            where = f"{method} {path}"
            seen.add(where)
            assert operation["summary"], where
            refusals = {status for status in operation["responses"] if status >= "4"}
            if where in OPEN:
                assert "security" not in operation, where
            elif path.startswith("/v1"):
                assert operation["security"] == [{"user": []}], where
                assert "401" in refusals, where
                # Taking a block back says nothing of who was blocked, nor of who exists.
                found = set() if where == "delete /v1/blocks/{user_id}" else {"404"}
                assert "{" not in path or found | {"422"} <= refusals, where
            else:
                assert path.startswith("/internal"), where
                assert operation["security"] == [{"service": []}], where
            if not path.startswith("/internal"):
                assert operation["description"], where
            for status in refusals:
                contents = set(operation["responses"][status]["content"])
                # RFC 6749 §5.2 wants its refusals as plain JSON.
                contents -= {"application/json"} if where == "post /token" else set()
                assert contents <= {"application/problem+json"}, where
                assert contents or where == "post /token", where
    assert seen > OPEN


async def test_shapes_hold_what_clients_were_promised(auth: Auth) -> None:
    schemas: dict[str, Any] = auth.app.openapi()["components"]["schemas"]
    promised = {
        "Registration": "username email password display_name",
        "OwnUser": "id username display_name email bio avatar_file_id created_at",
        "PublicUser": "id username display_name bio avatar_file_id created_at",
        "TokenRead": "access_token token_type expires_in refresh_token scope",
        "DeviceCreate": "client_id name platform",
        "DeviceRead": "id client_id name platform online last_seen_at",
        "SessionRead": "id device address user_agent created_at last_used_at current",
    }
    for name, fields in promised.items():
        assert set(fields.split()) <= schemas[name]["properties"].keys(), name


async def test_what_people_fill_in_comes_with_examples(auth: Auth) -> None:
    schemas: dict[str, Any] = auth.app.openapi()["components"]["schemas"]
    for name in ("Registration", "DeviceCreate", "PublicUser", "OwnUser", "DeviceRead"):
        for field in schemas[name]["required"]:
            shape = schemas[name]["properties"][field]
            told = "examples" in shape or shape.get("format") or shape["type"] == "boolean"
            assert told, f"{name}.{field}"
