"""The page that people read."""

from typing import Any

from services.transfer.tests.api.test_route_roles import BY_CAPABILITY
from services.transfer.tests.support.world import World


def test_nothing_is_global() -> None:
    """Five services share a process: importing transfer declares nothing in a common place."""
    from sqlmodel import SQLModel  # noqa: PLC0415 - after the models, which come with the world

    import sharezync_transfer.models  # noqa: F401, PLC0415 - for what it might leave behind

    assert not [table for table in SQLModel.metadata.tables if "transfer" in table]


async def test_every_route_says_what_it_does_and_how_it_refuses(world: World) -> None:
    document = world.app.openapi()
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            where = f"{method.upper()} {path}"
            assert operation["summary"], where
            refusals = {status for status in operation["responses"] if status >= "4"}
            if path.startswith("/v1"):
                assert operation["description"], where
                doors = ["user", "transfer"] if where in BY_CAPABILITY else ["user"]
                assert operation["security"] == [{door: []} for door in doors], where
                assert "401" in refusals, where
                named = {"404", "422"} if method != "delete" else {"422"}  # gone is gone
                assert "{" not in path or named <= refusals, where
            else:
                assert operation["security"] == [{"service": []}], where
            for status in refusals:
                (content,) = operation["responses"][status]["content"]
                assert content == "application/problem+json", where


async def test_shapes_hold_what_clients_were_promised(world: World) -> None:
    schemas: dict[str, Any] = world.app.openapi()["components"]["schemas"]
    promised = {
        "TransferRead": "id sender_id recipients files chunk_size_bytes state note created_at "
        "expires_at completed_at",
        "RecipientRead": "user_id device_id state received_bytes",
        "FileRead": "index name size_bytes mime sha256 root stored_bytes",
        "TransferOpened": "id chunk_size_bytes window_bytes",
    }
    for name, fields in promised.items():
        assert set(fields.split()) <= schemas[name]["properties"].keys(), name
