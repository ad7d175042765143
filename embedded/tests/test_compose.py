"""What only shows where all five services are put together."""

from pathlib import Path

import pytest

from sharezync_embedded.compose import MIGRATIONS, CombinedApp
from sharezync_gateway.openapi.merge import unrouted
from sharezync_gateway.routes import GATEWAY, ROUTES
from sharezync_gateway.routing import RouteTable
from sharezync_shared.settings import SERVICES as ALL

SERVICES = tuple(name for name in ALL if name != "gateway")


@pytest.fixture
def composition(tmp_path: Path) -> CombinedApp:
    """All wired up, nothing connected."""
    return CombinedApp(
        database_url="postgresql://nobody@127.0.0.1:1/none",
        secret_key="wX3vP9qLkT7mZr5nB1cY8dF6gH2jS4aEoUi",
        data_dir=tmp_path,
    )


@pytest.mark.parametrize("service", SERVICES)
async def test_every_public_operation_has_a_row_in_the_route_table(
    composition: CombinedApp, service: str
) -> None:
    routes = RouteTable(ROUTES, services={GATEWAY, *composition.apps})
    document = composition.apps[service].openapi()
    assert document["paths"]
    assert unrouted(document, service, routes) == []


@pytest.mark.parametrize("service", SERVICES)
async def test_every_public_operation_says_what_it_does_and_how_it_fails(
    composition: CombinedApp, service: str
) -> None:
    for path, operations in composition.apps[service].openapi()["paths"].items():
        for method, operation in operations.items():
            where = f"{method.upper()} {path}"
            assert operation.get("summary"), where
            if path.startswith("/v1/") and operation.get("security"):
                assert "401" in operation["responses"], where


async def test_each_service_migrates_a_schema_of_its_own_name() -> None:
    assert {migrations.schema for migrations in MIGRATIONS} == set(SERVICES)
