"""Fixtures of the tests of transfers over HTTP."""

from collections.abc import AsyncGenerator

import httpx
import pytest

from services.gateway.tests.api.transfers.house import House


@pytest.fixture
async def house() -> AsyncGenerator[House]:
    async with House().open() as house:
        yield house


@pytest.fixture
async def sender(house: House) -> AsyncGenerator[httpx.AsyncClient]:
    async with house.client(house.sender) as http:
        yield http


@pytest.fixture
async def recipient(house: House) -> AsyncGenerator[httpx.AsyncClient]:
    async with house.client(house.recipient) as http:
        yield http
